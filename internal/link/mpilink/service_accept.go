package mpilink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// acceptor is where masters call, in rank 0.
type acceptor struct {
	*Service
	advert
	names    mpi.NameServer
	secret   secret
	listener net.Listener
	withdraw func()
	callers  chan *caller
	strange  strangers
	places   chan struct{} // as many tokens as masters may wait
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
func (s *Service) open(ctx context.Context) (*acceptor, error) {
	d := &acceptor{
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
	d.Host, _ = os.Hostname()
	if s.Place.kind != byAddress {
		d.ID = newID()
	}
	if s.Place.kind == byFile {
		d.Secret = string(newSecret())
	}
	if d.secret, err = s.Place.secret(d.advert, true); err != nil {
		return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
	}
	if d.listener, d.Addresses, err = s.Place.listen(s.Bind); err != nil {
		return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
	}
	d.over.Go(d.listen)
	if s.Place.kind != byAddress {
		err := d.leaveWord(ctx, func() (func(), error) { return s.Place.leave(d.advert) })
		if err == nil {
			err = s.found(ctx, d.ID)
		}
		if err != nil {
			d.close()
			return nil, fmt.Errorf("mpilink: the service %v cannot be offered: %w", s.Place, err)
		}
	}
	return d, nil
}

// leaveWord leaves word for masters, which close takes back, also when this fails. A word that is left only after ctx has ended is taken
// back at once.
func (d *acceptor) leaveWord(ctx context.Context, leave func() (withdraw func(), err error)) error {
	left := make(chan func(), 1) // who gets it takes the word back
	takeBack := func() {
		select {
		case withdraw := <-left:
			withdraw()
		default:
		}
	}
	d.withdraw = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaving)
		defer cancel()
		_, _ = within(ctx, func() error { // the name server may have ended
			takeBack()
			return nil
		})
	})
	err, _ := within(ctx, func() error {
		withdraw, err := leave()
		if err != nil {
			return err
		}
		left <- withdraw
		if ctx.Err() != nil { // nobody waits for this any more
			takeBack()
		}
		return context.Cause(ctx)
	})
	return err
}

// say tells users something.
func (s *Service) say(text string) {
	if s.Said != nil {
		s.Said(text)
	}
}

// found tells whether masters find what this server has published: the daemons of Open MPI 5 take a name whose publisher was killed a
// second time, and then give nothing under it.
func (s *Service) found(ctx context.Context, id string) error {
	if s.Place.kind != byName {
		return nil
	}
	var there advert
	err, over := within(ctx, func() (err error) {
		there, err = s.Place.find()
		return err
	})
	if !over || err != nil || there.ID != id {
		return errors.New("the name server does not give out what was published there; a server that was killed may have had this name: " +
			"choose another one, or a file")
	}
	return nil
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
	known, err := s.Place.secret(found, true)
	if err != nil {
		return err
	}
	l, _, err := call(ctx, found, known, lineKnock)
	if err != nil {
		return nil // it was one's that has ended
	}
	_ = l.Close()
	return fmt.Errorf("mpilink: another server%s is at %v: choose another name, or end that one", who(found.Host, found.Pid), s.Place)
}

// close turns away the masters that still wait.
func (d *acceptor) close() {
	d.withdraw()
	d.end()
	_ = d.listener.Close()
	d.over.Wait()
}

// listen takes calls.
func (d *acceptor) listen() {
	for {
		c, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(newsTurn) // out of files, for a while
			continue
		}
		l := newLine(c)
		d.strange.add(l)
		d.over.Go(func() { d.hear(l) })
	}
}

// strangers are those who have called and not yet proved to know the secret. They have no places: when there are too many of them, one
// that has said nothing goes, the oldest first.
type strangers struct {
	mu  sync.Mutex
	all []*stranger // the oldest first
}

type stranger struct {
	*line
	met bool // it has said something
}

// maxStrangers is how many there may be at once.
const maxStrangers = 128

// strangerWait is how long one may take to prove that it knows the secret.
const strangerWait = 2 * time.Second

func (s *strangers) add(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, &stranger{line: l})
	if len(s.all) <= maxStrangers {
		return
	}
	i := max(slices.IndexFunc(s.all, func(o *stranger) bool { return !o.met }), 0)
	_ = s.all[i].Close()
	s.all = slices.Delete(s.all, i, i+1)
}

// meet notes that one has said something.
func (s *strangers) meet(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(l); i >= 0 {
		s.all[i].met = true
	}
}

// remove says that one is no stranger any more, or has gone.
func (s *strangers) remove(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(l); i >= 0 {
		s.all = slices.Delete(s.all, i, i+1)
	}
}

func (s *strangers) find(l *line) int {
	return slices.IndexFunc(s.all, func(o *stranger) bool { return o.line == l })
}

// hear takes one call. It ends when the caller's turn has come, or the service has ended.
func (d *acceptor) hear(l *line) {
	stop := context.AfterFunc(d.closed, func() { _ = l.Close() })
	handed := false
	defer func() {
		stop()
		if !handed {
			_ = l.Close()
		}
	}()
	said, err := l.admit(d.secret, d.ID, time.Now().Add(strangerWait), func() { d.strange.meet(l) })
	d.strange.remove(l)
	if err != nil {
		return
	}
	if said.Kind == lineKnock {
		_ = l.say(lineMessage{Kind: lineKnock, ID: d.ID})
		return
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		return
	}
	if err := l.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	stop() // from here on the line belongs to whatever takes it next
	c := &caller{line: l, said: said, left: make(chan bool, 1)}
	d.over.Go(c.listen) // ends with the line at the latest
	handed = d.await(c)
}

// await keeps a caller until its turn has come, and tells whether it has. One that has gone, and one that speaks out of turn, leaves
// its place to others.
func (d *acceptor) await(c *caller) bool {
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
func (d *acceptor) next(ctx context.Context) (*caller, error) {
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
func (d *acceptor) prepare(ctx context.Context, c *caller) bool {
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

// serve serves one master. It tells whether that has connected: one that goes before leaves the server as it was.
func (d *acceptor) serve(c *caller, serve func(link.Endpoint) error) (connected bool, err error) {
	defer c.Close()
	with := c.name()
	defer d.serving.Store(nil)
	port, err := mpi.OpenPort()
	if err != nil {
		_ = c.say(lineMessage{Kind: lineRefused, Text: "the server cannot open a port: " + err.Error()})
		return false, err
	}
	if !d.connects(c, port) {
		return false, mpi.ClosePort(port)
	}
	if !d.Keep { // nobody else can be served
		d.close()
	}
	if err := d.tell(serviceAccept); err != nil {
		return true, err
	}
	gone := c.gone()
	comm, err := d.accept(port, gone)
	if err != nil {
		return true, err
	}
	if err := d.serveOne(comm, gone, serve); err != nil {
		return true, fmt.Errorf("mpilink: serving %s: %w", with, err)
	}
	d.say(fmt.Sprintf("the master (%s) has closed its pool", with))
	return true, mpi.ClosePort(port)
}

// connects tells a master the port, and whether that is about to connect to it. Only then the ranks may accept, which nothing can
// interrupt.
func (d *acceptor) connects(c *caller, port string) bool {
	if err := c.say(lineMessage{Kind: linePort, Port: port}); err != nil {
		return false
	}
	m, err := c.hear(time.Now().Add(readyLimit))
	return err == nil && m.Kind == lineConnect
}
