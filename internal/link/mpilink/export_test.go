package mpilink

import (
	"context"
	"net"
)

// MaxCallers is how many masters may wait at once, and MaxStrangers how many may call that have not proved to be one.
const (
	MaxCallers   = maxCallers
	MaxStrangers = maxStrangers
)

// TryOnce has masters look for their server once until the function that is returned is called.
func TryOnce() (restore func()) {
	before := awaitServer
	awaitServer = 0
	return func() { awaitServer = before }
}

// GiveUpAndThenReach gives a connection up, by ctx, and has it reach its server then.
func GiveUpAndThenReach(ctx context.Context, server net.Conn) (gaveUp, reached error) {
	c := &connecting{stage: "calling the server"}
	return c.giveUp(ctx), c.keep(newLine(server))
}

// Master is one that calls by hand.
type Master struct{ line *line }

// Call has a master call whose process has a number, and returns the answer's kind and text.
func (d Acceptor) Call(ctx context.Context, pid int) (m Master, kind, text string, err error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", d.Address())
	if err != nil {
		return m, "", "", err
	}
	m = Master{newLine(c)}
	if err = m.line.identify(d.acceptor.secret, lineMessage{Kind: lineCall, ID: d.acceptor.ID, Host: "somewhere", Pid: pid}); err == nil {
		kind, text, err = m.Hear(ctx)
	}
	return m, kind, text, err
}

// Say sends a message of a kind.
func (m Master) Say(kind string) error { return m.line.say(lineMessage{Kind: kind}) }

// Hear receives a message.
func (m Master) Hear(ctx context.Context) (kind, text string, err error) {
	end, _ := ctx.Deadline()
	said, err := m.line.hear(end)
	return said.Kind, said.Text, err
}

// Conn is the connection below.
func (m Master) Conn() net.Conn { return m.line.Conn }

// Acceptor is where masters call, without the MPI behind it.
type Acceptor struct{ acceptor *acceptor }

// OpenDesk leaves word at a place.
func OpenDesk(ctx context.Context, place Place, bind string) (Acceptor, error) {
	s := &Service{Place: place, Keep: true, Bind: bind}
	d, err := s.open(ctx)
	return Acceptor{d}, err
}

// Next returns who is the next master, and its line's end.
func (d Acceptor) Next(ctx context.Context) (name string, end func() error, err error) {
	c, err := d.acceptor.next(ctx)
	if err != nil {
		return "", nil, err
	}
	return c.name(), func() error {
		d.acceptor.serving.Store(nil)
		return c.Close()
	}, nil
}

// Address is where it listens, and Addresses what it says about that.
func (d Acceptor) Address() string     { return d.acceptor.listener.Addr().String() }
func (d Acceptor) Addresses() []string { return d.acceptor.Addresses }

// Secret is what it shares with its masters.
func (d Acceptor) Secret() string { return string(d.acceptor.secret) }

// Close turns away the masters that still wait.
func (d Acceptor) Close() { d.acceptor.close() }

// WhileAnotherLooks calls f while somebody else has the turn to look for messages, and tells whether that one believes
// afterwards that others look in its place.
func (h *Hub) WhileAnotherLooks(f func()) (relaxed bool) {
	h.turn.Lock()
	defer h.turn.Unlock()
	f()
	return h.relaxed.Load()
}

// LeaveWord has a server leave word, without a place, and returns what ends that server.
func LeaveWord(ctx context.Context, leave func() (withdraw func(), err error)) (end func(), err error) {
	d := &acceptor{}
	err = d.leaveWord(ctx, leave)
	return d.withdraw, err
}
