package mpilink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// A master calls a server over TCP before either enters MPI, and the connection stays for as long as the server serves it. MPI's
// own calls wait without end for a side that is not there, cannot be interrupted, and have all ranks of a server that waits spin; this
// way they are entered when the other side is known to be there, and each side notices at once when the other has gone.
//
//	master: which server I mean, and a nonce
//	server: a nonce of mine, and the proof that I know the secret
//	master: the proof that I know it too
//	server: you have to wait; once that is over: who I am, and which name server I use
//	master: go
//	server: the port, at which all ranks will accept
//	master: I connect now
//
// Every message is a line of JSON. From the master's proof on each has a signature behind it, whose key is good for this line and one
// direction and which counts the messages: nobody between the two can change, repeat or leave out one. Nothing is sent after that.
type lineMessage struct {
	Version int    `json:"version,omitempty"`
	ID      string `json:"id,omitempty"`    // of the server
	Kind    string `json:"kind,omitempty"`  // one of the kinds below
	Nonce   string `json:"nonce,omitempty"` // of the speaker
	Proof   string `json:"proof,omitempty"` // see secret.proof
	Host    string `json:"host,omitempty"`  // of the speaker
	Pid     int    `json:"pid,omitempty"`
	Names   string `json:"names,omitempty"` // the name server's address
	Port    string `json:"port,omitempty"`
	Text    string `json:"text,omitempty"` // for the user
}

// Kinds of messages.
const (
	lineCall    = "call"
	lineKnock   = "knock" // are you there?
	lineProve   = "prove" // the server's proof, and the master's
	lineBusy    = "busy"
	lineRefused = "refused"
	lineWelcome = "welcome"
	lineGo      = "go"
	linePort    = "port"
	lineConnect = "connect"
)

// lineVersion changes when the messages do.
const lineVersion = 2

const (
	lineLimit = 16 << 10         // bytes of a message
	lineWait  = 10 * time.Second // for a message that is due now
	lineAlive = 15 * time.Second // between probes of a connection without traffic
)

// line is one end of a connection.
type line struct {
	net.Conn
	in *bufio.Reader

	// After the handshake: what messages are signed with, and how many there were.
	out, back   secret
	said, heard uint64
}

func newLine(c net.Conn) *line {
	if t, ok := c.(*net.TCPConn); ok { // a host that has gone shows after three of them
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: lineAlive, Interval: lineAlive / 3, Count: 3})
	}
	return &line{Conn: c, in: bufio.NewReaderSize(c, lineLimit)}
}

// say sends a message. It blocks for lineWait at most.
func (l *line) say(m lineMessage) error {
	m.Version = lineVersion
	if m.Host == "" {
		m.Host, _ = os.Hostname()
		m.Pid = os.Getpid()
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if l.out != nil {
		text = fmt.Appendf(text, " %x", l.out.sign(strconv.FormatUint(l.said, 10), string(text)))
		l.said++
	}
	if err := l.SetWriteDeadline(time.Now().Add(lineWait)); err != nil {
		return err
	}
	_, err = l.Write(append(text, '\n'))
	return err
}

// errUnsigned says that a message is not the other side's.
var errUnsigned = errors.New("a message was not signed by the other side: somebody between the two has changed it")

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
	text = text[:len(text)-1]
	if l.back != nil {
		end := max(bytes.LastIndexByte(text, ' '), 0)
		want := fmt.Sprintf(" %x", l.back.sign(strconv.FormatUint(l.heard, 10), string(text[:end])))
		if !hmac.Equal(text[end:], []byte(want)) {
			return m, errUnsigned
		}
		text = text[:end]
		l.heard++
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("it speaks another language: %w", err)
	}
	if m.Version != lineVersion {
		return m, fmt.Errorf("it speaks version %d and this program %d: build both from one source", m.Version, lineVersion)
	}
	return m, nil
}

// admit takes a call, as the server, and returns what the caller says of itself when that has proved to know the secret. It blocks
// until the deadline. met is called when the caller has said something at all.
func (l *line) admit(s secret, id string, deadline time.Time, met func()) (lineMessage, error) {
	said, err := l.hear(deadline)
	if err != nil {
		return said, err
	}
	met()
	if id != "" && said.ID != id {
		return said, errors.Join(errors.New("another server is meant"), l.say(lineMessage{Kind: lineRefused, Text: "another server is meant"}))
	}
	if said.Nonce == "" || said.Kind != lineCall && said.Kind != lineKnock {
		return said, errors.New("this is no call")
	}
	h := handshake{kind: said.Kind, id: said.ID, master: said.Nonce, server: rand.Text()}
	if err := l.say(lineMessage{Kind: lineProve, ID: id, Nonce: h.server, Proof: s.proof("server", h)}); err != nil {
		return said, err
	}
	answer, err := l.hear(deadline)
	if err != nil {
		return said, err
	}
	if answer.Kind != lineProve || !s.proves(answer.Proof, "master", h) {
		return said, errors.New("the caller does not know the secret")
	}
	l.out, l.back = s.key("server", h), s.key("master", h)
	return said, nil
}

// errSecret says that what answers is not the server that was meant.
var errSecret = errors.New("what listens there does not know the secret of this master (" + SecretVariable + "): it is another user's " +
	"program, or the server of another secret")

// identify calls, as the master. What it says is worth nothing without the secret.
func (l *line) identify(s secret, call lineMessage) error {
	call.Nonce = rand.Text()
	h := handshake{kind: call.Kind, id: call.ID, master: call.Nonce}
	if err := l.say(call); err != nil {
		return err
	}
	m, err := l.hear(time.Now().Add(lineWait))
	switch {
	case err != nil:
		return fmt.Errorf("no answer: %w", err)
	case m.Kind == lineRefused:
		return errors.New(m.Text)
	case m.Kind != lineProve || m.Nonce == "":
		return errSecret
	}
	if h.server = m.Nonce; !s.proves(m.Proof, "server", h) {
		return errSecret
	}
	if err := l.say(lineMessage{Kind: lineProve, Proof: s.proof("master", h)}); err != nil {
		return err
	}
	l.out, l.back = s.key("master", h), s.key("server", h)
	return nil
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

// newID makes up the identity of a server.
func newID() string { return rand.Text() }

// errBusy says that a server has others to serve first.
type errBusy struct{ with string }

func (e *errBusy) Error() string {
	return "the server serves another master (" + e.with + "); wait for its end, or start another server"
}

// call dials a server that has left word, introduces this process and returns once the server has time for it, with what it
// says. It blocks until then, or until ctx ends.
func call(ctx context.Context, a advert, s secret, kind string) (*line, lineMessage, error) {
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
			l, m, err := callAt(inner, address, s, a.ID, kind)
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

func callAt(ctx context.Context, address string, s secret, id, kind string) (*line, lineMessage, error) {
	dialer := net.Dialer{Timeout: dialLimit}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
	if err != nil {
		if ctx.Err() != nil { // the dialer knows the end of ctx, and not its cause
			err = fmt.Errorf("dial tcp %s: %w", address, context.Cause(ctx))
		}
		return nil, lineMessage{}, err
	}
	l := newLine(c)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	m, err := l.introduce(s, id, kind)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, m, err
	}
	return l, m, nil
}

// introduce calls, and waits until the server has time.
func (l *line) introduce(s secret, id, kind string) (lineMessage, error) {
	if err := l.identify(s, lineMessage{Kind: kind, ID: id}); err != nil {
		return lineMessage{}, err
	}
	deadline, busy := time.Now().Add(lineWait), (*errBusy)(nil)
	for {
		m, err := l.hear(deadline)
		switch {
		case err != nil && busy != nil && !errors.Is(err, errUnsigned):
			return m, busy
		case err != nil:
			return m, fmt.Errorf("no answer: %w", err)
		case m.Kind == lineBusy:
			busy, deadline = &errBusy{m.Text}, time.Time{}
		case m.Kind == lineRefused:
			return m, errors.New(m.Text)
		default:
			return m, nil
		}
	}
}
