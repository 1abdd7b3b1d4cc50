package mpilink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Connection says which server a group's workers are.
type Connection struct {
	Config
	Options

	Place Place
	Info  []mpi.InfoPair // for MPI_Comm_connect, as it is

	// Started tells that MPI is initialised, or that the program was started by a launcher that has told it of its name server.
	// Otherwise the group asks the server for it first.
	Started bool

	// Init initialises MPI if that has not been done.
	Init func() error
}

// NewConnected returns a group whose workers are the ranks of a program that was started apart and serves (ServeMasters), all of
// them. It connects when it is opened, and lets them go when it is closed.
func NewConnected(c Connection) *Group { return newGroup(c.Config, nil, &connecting{spec: c}) }

// awaitServer is for how long a server that is not there yet is waited for: both may have been started by one script.
var awaitServer = 10 * time.Second

// awaitTurn is how often it is looked for.
const awaitTurn = 250 * time.Millisecond

// connecting is the time in which a server serves one group.
type connecting struct {
	spec Connection

	mu    sync.Mutex
	line  *line
	gone  <-chan struct{} // the line is at its end
	comm  *mpi.Comm
	hub   *Hub
	stage string // what has begun last, for when it does not end
	stuck bool   // that cannot be interrupted, and MPI is of no use after it
	ended bool
}

// at notes what begins.
func (c *connecting) at(stage string, stuck bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stage, c.stuck = stage, stuck
}

func (c *connecting) start(ctx context.Context) (*Hub, error) {
	done := make(chan error, 1)
	go func() { done <- c.connect(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// What can be interrupted ends now and knows best why.
		select {
		case err = <-done:
		case <-time.After(time.Second):
			err = c.giveUp(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("mpilink: cannot use the service %v: %w", c.spec.Place, err)
	}
	return c.hub, nil
}

// giveUp says what does not end.
func (c *connecting) giveUp(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.stuck {
		markLost(nil)
	}
	if c.line != nil {
		_ = c.line.Close()
	}
	return fmt.Errorf("%s does not end; the name server may have ended, or a firewall may be between the two programs: %w",
		c.stage, context.Cause(ctx))
}

// connect finds the server and connects to it.
func (c *connecting) connect(ctx context.Context) error {
	place := c.spec.Place
	if err := mpi.CheckApart(os.LookupEnv); err != nil {
		return err
	}
	started := c.spec.Started
	if place.kind == byName {
		if err := c.enter(ctx); err != nil {
			return err
		}
		started = true
	}
	l, said, err := c.callServer(ctx)
	if err != nil {
		return err
	}
	if err := c.keep(l); err != nil {
		return err
	}
	if err := c.join(ctx, l, said, started); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// keep notes the line, for giveUp to close, and closes it when that was before.
func (c *connecting) keep(l *line) error {
	c.mu.Lock()
	late := c.ended
	if !late {
		c.line = l
	}
	c.mu.Unlock()
	if late {
		return errors.Join(errGivenUp, l.Close())
	}
	return nil
}

// errGivenUp is the error of a connection that nobody waits for any more.
var errGivenUp = errors.New("given up")

// enter initialises MPI with the name server that this program was started with.
func (c *connecting) enter(ctx context.Context) error {
	names, err := mpi.FindNameServer(os.LookupEnv)
	if err != nil {
		return err
	}
	if names.URI == "" {
		m, _ := mpi.FindMeeting(os.LookupEnv)
		or := ""
		if !mpi.LaunchedByPRRTE(os.LookupEnv) {
			or = ", or with OMPI_MCA_pmix_server_uri=file:URIFILE in its environment"
		}
		return fmt.Errorf("a name is looked up at a name server, and this program was started without one: start it with `mpiexec "+
			"%s -n 1`%s; to have a server, %s", m.Option, or, c.spec.Place.Recipe())
	}
	if err := names.Answers(ctx); err != nil {
		return err
	}
	c.at("starting MPI", true)
	if err := c.spec.Init(); err != nil {
		return err
	}
	c.at("", false)
	return nil
}

// callServer looks for the server and calls it, for a while.
func (c *connecting) callServer(ctx context.Context) (*line, lineMessage, error) {
	looks, cancel := context.WithTimeout(ctx, awaitServer)
	defer cancel()
	for {
		l, m, err := c.tryServer(ctx)
		if silent := (*errSilent)(nil); err == nil || !errors.Is(err, errNoServer) && !errors.As(err, &silent) {
			return l, m, err
		}
		select {
		case <-looks.Done():
			return nil, m, fmt.Errorf("%w: %s", err, c.spec.Place.Recipe())
		case <-time.After(awaitTurn):
		}
	}
}

// errSilent says that a server does not answer that has said where it is. It may be on the way.
type errSilent struct {
	advert
	err error
}

func (e *errSilent) Error() string {
	hint := ""
	if e.elsewhere() {
		hint = " (it listens to its own host only: start it with --bind and an address of that host, for masters on others)"
	}
	return fmt.Sprintf("the server%s does not answer, it has ended or cannot be reached%s: %v", who(e.Host, e.Pid), hint, e.err)
}

func (e *errSilent) Unwrap() error { return e.err }

// tryServer looks for the server and calls it.
func (c *connecting) tryServer(ctx context.Context) (*line, lineMessage, error) {
	place := c.spec.Place
	c.at("looking the name up", place.kind == byName)
	a, err := place.find()
	c.at("calling the server", false)
	if err != nil {
		return nil, lineMessage{}, err
	}
	known, err := place.secret(a, false)
	if err != nil {
		return nil, lineMessage{}, err
	}
	l, m, err := call(ctx, a, known, lineCall)
	if busy := (*errBusy)(nil); err != nil && !errors.As(err, &busy) {
		err = &errSilent{a, err}
	}
	return l, m, err
}

// who names a process for an error.
func who(host string, pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d on %s)", pid, host)
}

// join has both programs enter MPI, and connects.
func (c *connecting) join(ctx context.Context, l *line, said lineMessage, started bool) error {
	names, err := mpi.ParseNameServer(said.Names)
	if err != nil {
		return err
	}
	if names.DVM == "" { // else its address is that of the server's own host
		if err := names.Answers(ctx); err != nil {
			return err
		}
	}
	if started {
		own, err := mpi.FindNameServer(os.LookupEnv)
		if err != nil {
			return err
		}
		if !own.Is(names) && names.DVM != "" {
			return outside(said, names)
		}
		if !own.Is(names) {
			has := "no name server"
			if own.URI != "" {
				has = "another one: " + own.URI
			}
			return fmt.Errorf("the server%s uses the name server %s, and this program was started with %s: start it with `mpiexec "+
				"--ompi-server '%s' -n 1`, or without an mpiexec", who(said.Host, said.Pid), names.URI, has, names.URI)
		}
	} else {
		if names.DVM != "" {
			return outside(said, names)
		}
		if err := names.Use(); err != nil {
			return err
		}
		c.at("starting MPI", true)
		if err := c.spec.Init(); err != nil {
			return err
		}
		c.at("calling the server", false)
	}
	if err := l.say(lineMessage{Kind: lineGo}); err != nil {
		return err
	}
	m, err := l.hear(time.Now().Add(lineWait))
	if err != nil {
		return fmt.Errorf("the server%s has gone: %w", who(said.Host, said.Pid), err)
	}
	if m.Kind != linePort {
		return errors.New(m.Text)
	}
	c.at("calling the server", false)
	if err := l.say(lineMessage{Kind: lineConnect}); err != nil {
		return fmt.Errorf("the server%s has gone: %w", who(said.Host, said.Pid), err)
	}
	return c.meet(l, said, m.Port)
}

// outside says that this program is not in the DVM in which the server is. The server would be lost in MPI_Comm_accept.
func outside(said lineMessage, names mpi.NameServer) error {
	return fmt.Errorf("the server%s is a job of the daemons %s, and this program is not: start it with `mpiexec --dvm uri:file:URIFILE -n 1`, "+
		"where URIFILE is the file that prte wrote", who(said.Host, said.Pid), names.DVM)
}

// meet makes the communicator.
func (c *connecting) meet(l *line, said lineMessage, port string) error {
	c.at("MPI_Comm_connect", true)
	gone := l.gone()
	comm, err := c.dial(port, gone)
	if errors.Is(err, errGone) {
		return fmt.Errorf("the server%s has gone while this program connected to it; what it printed may say why", who(said.Host, said.Pid))
	}
	if err != nil {
		return err
	}
	hub, err := Lead(comm, c.spec.Options)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.comm, c.hub, c.gone = comm, hub, gone
	late := c.ended
	c.mu.Unlock()
	if late { // nobody wants it any more; the server notices that the line is closed
		return errGivenUp
	}
	go c.watch(c.gone, said)
	return nil
}

// errGone says that a server has ended that was to accept.
var errGone = errors.New("the server has gone")

// connectGrace is for how long a connect goes on whose server has gone: it may be about to tell why it fails.
const connectGrace = time.Second

// dial connects. MPI_Comm_connect cannot be interrupted, and waits without end for a server that has gone.
func (c *connecting) dial(port string, gone <-chan struct{}) (*mpi.Comm, error) {
	connected := meet(func() (*mpi.Comm, error) {
		self, err := mpi.Self()
		if err != nil {
			return nil, err
		}
		return self.Connect(port, c.spec.Info)
	})
	select {
	case o := <-connected:
		return o.comm, o.err
	case <-gone:
	}
	select {
	case o := <-connected:
		return o.comm, o.err
	case <-time.After(connectGrace):
		markLost(nil)
		return nil, errGone
	}
}

// watch gives all ranks of the server up when it has gone: its launcher ends all of them together.
func (c *connecting) watch(gone <-chan struct{}, said lineMessage) {
	begin := time.Now()
	select {
	case <-c.hub.done:
		return
	case <-gone:
	}
	c.hub.do(func() {
		if c.hub.mayLeave() { // it has gone as it was told to, before this hub had come to its end
			return
		}
		for _, peer := range c.hub.alive() {
			heard := c.hub.heard[peer]
			if heard.IsZero() {
				heard = begin
			}
			err := &endedError{silence: time.Since(heard)}
			c.hub.lose(peer, fmt.Errorf("the server%s has gone: %w; what it printed may say why", who(said.Host, said.Pid), err))
		}
	})
}

// end lets the server go. The server closes the line when it has noticed: Open MPI's MPI_Comm_disconnect does not wait for that, and
// the server would take the end of the line for the end of this process.
func (c *connecting) end(ctx context.Context) error {
	c.mu.Lock()
	comm, hub, l, gone, again := c.comm, c.hub, c.line, c.gone, c.ended
	c.ended = true
	c.mu.Unlock()
	if again || hub == nil {
		return nil
	}
	if ctx.Err() != nil { // the workers have used up the time; leaving gets some of its own
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), leaving)
		defer cancel()
	}
	err := hub.Close(ctx)
	if err == nil && hub.whole() { // nobody would answer a disconnect otherwise
		err = Disconnect(ctx, comm)
	}
	if err == nil {
		select {
		case <-gone:
		case <-ctx.Done():
			err = errors.New("mpilink: the server was told to go, and does not answer")
		}
	}
	return errors.Join(err, l.Close())
}
