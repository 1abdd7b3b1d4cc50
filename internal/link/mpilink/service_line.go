package mpilink

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A master calls a server over TCP before either enters MPI, and the connection stays for as long as the server serves it. MPI's
// own calls wait for ever for a side that is not there, cannot be interrupted, and have all ranks of a server that waits spin; this
// way they are entered when the other side is known to be there, and each side notices at once when the other has gone.
//
//	master: who I am, and which server I mean
//	server: you have to wait; once that is over: who I am, and which name server I use
//	master: go
//	server: the port, at which all ranks accept now
//
// Every message is a line of JSON. Nothing is sent after that.
type lineMessage struct {
	Version int    `json:"version,omitempty"`
	ID      string `json:"id,omitempty"`   // of the server
	Kind    string `json:"kind,omitempty"` // one of the kinds below
	Host    string `json:"host,omitempty"` // of who speaks
	Pid     int    `json:"pid,omitempty"`
	Names   string `json:"names,omitempty"` // the name server's address
	Port    string `json:"port,omitempty"`
	Text    string `json:"text,omitempty"` // for the user
}

// Kinds of messages.
const (
	lineCall    = "call"
	lineKnock   = "knock" // are you there?
	lineBusy    = "busy"
	lineRefused = "refused"
	lineWelcome = "welcome"
	lineGo      = "go"
	linePort    = "port"
)

// lineVersion changes when the messages do.
const lineVersion = 1

const (
	lineLimit = 16 << 10         // bytes of a message
	lineWait  = 10 * time.Second // for a message that is due now
	lineAlive = 15 * time.Second // between probes of a connection without traffic
)

// line is one end of a connection.
type line struct {
	net.Conn
	in *bufio.Reader
}

func newLine(c net.Conn) *line {
	if t, ok := c.(*net.TCPConn); ok { // a host that has gone shows after three of them
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: lineAlive, Interval: lineAlive / 3, Count: 3})
	}
	return &line{c, bufio.NewReaderSize(c, lineLimit)}
}

// say sends a message. It blocks for lineWait at most.
func (l *line) say(m lineMessage) error {
	m.Version = lineVersion
	m.Host, _ = os.Hostname()
	m.Pid = os.Getpid()
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := l.SetWriteDeadline(time.Now().Add(lineWait)); err != nil {
		return err
	}
	_, err = l.Write(append(text, '\n'))
	return err
}

// hear receives a message, until the deadline; the zero one is none.
func (l *line) hear(deadline time.Time) (lineMessage, error) {
	var m lineMessage
	if err := l.SetReadDeadline(deadline); err != nil {
		return m, err
	}
	text, err := l.in.ReadSlice('\n')
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("it speaks another language: %w", err)
	}
	if m.Version != lineVersion {
		return m, fmt.Errorf("it speaks version %d and this program %d: build both from one source", m.Version, lineVersion)
	}
	return m, nil
}

// gone is closed when the other side closes the line or disappears; nothing may be read from the line any more.
func (l *line) gone() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = l.SetReadDeadline(time.Time{})
		_, _ = io.Copy(io.Discard, l.in)
	}()
	return gone
}

// newID makes up the identity of a server. Who knows it may be its master.
func newID() string { return rand.Text() }

// errBusy says that a server has others to serve first.
type errBusy struct{ with string }

func (e *errBusy) Error() string {
	return "the server serves another master (" + e.with + "); wait for its end, or start another server"
}

// call dials a server that has left word, introduces this process and returns once the server has time for it, with what it
// says. It blocks until then, or until ctx ends.
func call(ctx context.Context, a advert, kind string) (*line, lineMessage, error) {
	type outcome struct {
		line *line
		said lineMessage
		err  error
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome)
	for _, address := range a.Addresses {
		go func() {
			l, m, err := callAt(inner, address, a.ID, kind)
			if err != nil {
				err = fmt.Errorf("%s: %w", address, err)
			}
			outcomes <- outcome{l, m, err}
		}()
	}
	var first outcome
	var failed []error
	for range a.Addresses {
		switch o := <-outcomes; {
		case o.err != nil:
			failed = append(failed, o.err)
		case first.line != nil: // reached by a second way
			_ = o.line.Close()
		default:
			first = o
			cancel()
		}
	}
	if first.line != nil {
		return first.line, first.said, nil
	}
	for _, err := range failed { // one that has answered tells more than those that have not
		if busy := (*errBusy)(nil); errors.As(err, &busy) {
			return nil, lineMessage{}, err
		}
	}
	return nil, lineMessage{}, errors.Join(failed...)
}

// dialLimit is for how long one address is tried.
const dialLimit = 5 * time.Second

func callAt(ctx context.Context, address, id, kind string) (*line, lineMessage, error) {
	dialer := net.Dialer{Timeout: dialLimit}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, lineMessage{}, err
	}
	l := newLine(c)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	m, err := l.introduce(id, kind)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, m, err
	}
	return l, m, nil
}

// introduce says who this is, and waits until the server has time.
func (l *line) introduce(id, kind string) (lineMessage, error) {
	if err := l.say(lineMessage{Kind: kind, ID: id}); err != nil {
		return lineMessage{}, err
	}
	deadline, busy := time.Now().Add(lineWait), (*errBusy)(nil)
	for {
		m, err := l.hear(deadline)
		switch {
		case err != nil && busy != nil:
			return m, busy
		case err != nil:
			return m, fmt.Errorf("no answer: %w", err)
		case m.Kind == lineBusy:
			busy, deadline = &errBusy{m.Text}, time.Time{}
		case m.Kind == lineRefused:
			return m, errors.New(m.Text)
		case id != "" && m.ID != id:
			return m, errors.New("another server answers")
		default:
			return m, nil
		}
	}
}
