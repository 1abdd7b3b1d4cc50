package mpilink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// desk is where masters call, in rank 0.
type desk struct {
	*Service
	advert
	names    mpi.NameServer
	listener net.Listener
	withdraw func()
	callers  chan *caller
	places   chan struct{} // as many tokens as masters may call
	serving  atomic.Pointer[string]
	over     sync.WaitGroup

	closed context.Context // ends when nobody may call any more
	end    context.CancelFunc
}

// caller is a master that waits.
type caller struct {
	*line
	said lineMessage
	left chan bool // gets one value when listen ends: whether attend has ended it
}

// name is what others are told about the caller.
func (c *caller) name() string { return fmt.Sprintf("process %d on %s", c.said.Pid, c.said.Host) }

// busyTurn is how often a caller looks whom it waits for, until it knows.
const busyTurn = lineWait / 50

// open leaves word.
func (s *Service) open(ctx context.Context) (*desk, error) {
	d := &desk{
		Service: s, advert: advert{Pid: os.Getpid()}, callers: make(chan *caller), places: make(chan struct{}, maxCallers),
		withdraw: func() {},
	}
	d.closed, d.end = context.WithCancel(context.Background())
	err := mpi.CheckApart(os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
	}
	if d.names, err = mpi.FindNameServer(os.LookupEnv); err != nil {
		return nil, err
	}
	if d.names.URI == "" {
		return nil, fmt.Errorf("mpilink: a service needs a name server, by which Open MPI connects programs that were started apart, and "+
			"this one was started without: %s", s.Place.Recipe())
	}
	if err := d.names.Answers(ctx); err != nil {
		return nil, err
	}
	if err := s.vacant(ctx); err != nil {
		return nil, err
	}
	if d.listener, d.Addresses, err = s.Place.listen(); err != nil {
		return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
	}
	d.over.Go(d.listen)
	d.Host, _ = os.Hostname()
	if s.Place.kind != byAddress {
		d.ID = newID()
		var withdraw func()
		err, over := within(ctx, func() (err error) {
			withdraw, err = s.Place.leave(d.advert)
			return err
		})
		if !over || err != nil {
			d.close()
			return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
		}
		d.withdraw = sync.OnceFunc(func() {
			ctx, cancel := context.WithTimeout(context.Background(), leaving)
			defer cancel()
			_, _ = within(ctx, func() error { // the name server may have ended
				withdraw()
				return nil
			})
		})
	}
	return d, nil
}

// say tells users something.
func (s *Service) say(text string) {
	if s.Said != nil {
		s.Said(text)
	}
}

// vacant refuses a place where another server is.
func (s *Service) vacant(ctx context.Context) error {
	if s.Place.kind == byAddress { // that shows when it is opened
		return nil
	}
	var found advert
	err, over := within(ctx, func() (err error) {
		found, err = s.Place.find()
		return err
	})
	if !over {
		return fmt.Errorf("mpilink: looking for other servers at %v does not end: %w", s.Place, err)
	}
	if err != nil {
		return nil // what is there is no server's; the place is written over
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	l, _, err := call(ctx, found, lineKnock)
	if err != nil {
		return nil // it was one's that has ended
	}
	_ = l.Close()
	return fmt.Errorf("mpilink: another server%s is at %v: choose another name, or end that one", who(found.Host, found.Pid), s.Place)
}

// close turns away who still waits.
func (d *desk) close() {
	d.withdraw()
	d.end()
	_ = d.listener.Close()
	d.over.Wait()
}

// listen takes calls.
func (d *desk) listen() {
	for {
		c, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(newsTurn) // out of files, for a while
			continue
		}
		select {
		case d.places <- struct{}{}:
			d.over.Go(func() {
				defer func() { <-d.places }()
				d.hear(newLine(c))
			})
		default:
			_ = c.Close()
		}
	}
}

// hear takes one call. It ends when the caller's turn has come, or the service has ended.
func (d *desk) hear(l *line) {
	stop := context.AfterFunc(d.closed, func() { _ = l.Close() })
	handed := false
	defer func() {
		stop()
		if !handed {
			_ = l.Close()
		}
	}()
	said, err := l.hear(time.Now().Add(lineWait))
	if err != nil {
		return
	}
	if d.ID != "" && said.ID != d.ID {
		_ = l.say(lineMessage{Kind: lineRefused, Text: "another server is meant"})
		return
	}
	if said.Kind == lineKnock {
		_ = l.say(lineMessage{Kind: lineKnock, ID: d.ID})
		return
	}
	if err := l.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	stop() // from here on the line is the next one's who takes it
	c := &caller{line: l, said: said, left: make(chan bool, 1)}
	d.over.Go(c.listen) // ends with the line at the latest
	handed = d.await(c)
}

// await keeps a caller until its turn has come, and tells whether it has. One that has gone, and one that speaks out of turn, leaves
// its place to others.
func (d *desk) await(c *caller) bool {
	look := time.NewTimer(0) // whether there is somebody to wait for
	defer look.Stop()
	for {
		select {
		case d.callers <- c:
			return true
		case <-c.left:
			return false
		case <-d.closed.Done():
			return false
		case <-look.C:
			with := d.serving.Load()
			if with == nil {
				look.Reset(busyTurn)
			} else if err := c.say(lineMessage{Kind: lineBusy, Text: *with}); err != nil {
				return false
			}
		}
	}
}

// listen waits for a caller's end, which it reports.
func (c *caller) listen() {
	_, err := c.in.Peek(1)
	c.left <- errors.Is(err, os.ErrDeadlineExceeded)
}

// attend ends listen, and tells whether the caller is still there and may be talked to.
func (c *caller) attend() bool {
	_ = c.SetReadDeadline(time.Unix(1, 0))
	return <-c.left
}

// next returns a master that is ready to connect. It blocks until there is one, or until ctx ends.
func (d *desk) next(ctx context.Context) (*caller, error) {
	for {
		select {
		case c := <-d.callers:
			with := c.name()
			d.serving.Store(&with)
			if d.prepare(ctx, c) {
				return c, nil
			}
			d.serving.Store(nil)
			_ = c.Close()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// prepare tells whether the master goes on.
func (d *desk) prepare(ctx context.Context, c *caller) bool {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if !c.attend() {
		return false
	}
	if err := c.say(lineMessage{Kind: lineWelcome, ID: d.ID, Names: d.names.URI}); err != nil {
		return false
	}
	m, err := c.hear(time.Now().Add(readyLimit))
	return stop() && err == nil && m.Kind == lineGo
}

// serve serves one master.
func (d *desk) serve(c *caller, serve func(link.Endpoint) error) error {
	defer c.Close()
	with := c.name()
	defer d.serving.Store(nil)
	if !d.Keep { // nobody else can be served
		d.close()
	}
	port, err := mpi.OpenPort()
	if err != nil {
		_ = c.say(lineMessage{Kind: lineRefused, Text: "the server cannot open a port: " + err.Error()})
		return err
	}
	if err := d.tell(serviceAccept); err != nil {
		return err
	}
	if err := c.say(lineMessage{Kind: linePort, Port: port}); err != nil {
		return fmt.Errorf("mpilink: the master (%s) has gone: %w", with, err)
	}
	gone := c.gone()
	comm, err := d.accept(port, gone)
	if err != nil {
		return err
	}
	if err := d.serveOne(comm, gone, serve); err != nil {
		return fmt.Errorf("mpilink: serving %s: %w", with, err)
	}
	d.say(fmt.Sprintf("the master (%s) has closed its pool", with))
	return mpi.ClosePort(port)
}
