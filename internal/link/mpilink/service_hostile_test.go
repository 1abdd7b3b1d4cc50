package mpilink_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// Whoever reaches a server without knowing its secret, and whoever listens where a server is said to be.

// stranger connects to a acceptor and says some lines.
func stranger(t *testing.T, d mpilink.Acceptor, lines ...string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", d.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for _, l := range lines {
		_, _ = io.WriteString(c, l+"\n") // the acceptor may have hung up
	}
	return c
}

// serveOne waits for one master, as a server does.
func serveOne(t *testing.T, d mpilink.Acceptor) (served <-chan string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	names := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		name, end, err := d.Next(ctx)
		if err == nil {
			err = end()
		}
		if err != nil {
			name = err.Error()
		}
		names <- name
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return names
}

// me is how a server names a master in this process.
var me = fmt.Sprintf("process %d on ", os.Getpid())

// rightful has the rightful master come, and be served at its first call: a stranger never keeps it waiting.
func rightful(t *testing.T, d mpilink.Acceptor, served <-chan string) {
	t.Helper()
	m, kind, text := call(t, d, 7)
	if kind == "busy" && strings.Contains(text, me) { // the end of the master before it has not been noticed yet
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var err error
		if kind, text, err = m.Hear(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if kind != "welcome" {
		t.Fatalf("the rightful master was told %q, %q", kind, text)
	}
	if err := m.Say("go"); err != nil {
		t.Error(err)
	}
	if name := <-served; name != "process 7 on somewhere" {
		t.Errorf("%s is served", name)
	}
}

func TestSilentConnectionsHoldNobodyUp(t *testing.T) {
	for _, n := range []int{mpilink.MaxCallers, 3 * mpilink.MaxStrangers} {
		d := openAcceptor(t, anyPort)
		served := serveOne(t, d)
		var all []net.Conn
		for range n {
			all = append(all, stranger(t, d))
		}
		rightful(t, d, served)
		for _, c := range all { // and none of them stays
			if b, err := io.ReadAll(c); len(b) > 0 {
				t.Errorf("a silent connection was told %q (%v)", b, err)
			}
		}
	}
}

func TestWhoDoesNotKnowTheSecretIsToldNothingAndEndsNothing(t *testing.T) {
	d := openAcceptor(t, anyPort)
	served := serveOne(t, d)
	for name, lines := range map[string][]string{
		"an old master":         {`{"version":1,"kind":"call"}`, `{"version":1,"kind":"go"}`},
		"no proof":              {`{"version":2,"kind":"call","nonce":"a"}`, `{"version":2,"kind":"go"}`},
		"an empty proof":        {`{"version":2,"kind":"call","nonce":"a"}`, `{"version":2,"kind":"prove"}`, `{"version":2,"kind":"go"}`},
		"a wrong proof":         {`{"version":2,"kind":"call","nonce":"a"}`, `{"version":2,"kind":"prove","proof":"` + strings.Repeat("0", 64) + `"}`},
		"no nonce":              {`{"version":2,"kind":"call"}`},
		"a knock":               {`{"version":2,"kind":"knock","nonce":"a"}`, `{"version":2,"kind":"prove","proof":"x"}`},
		"nonsense":              {"GET / HTTP/1.1", ""},
		"a line without an end": {strings.Repeat("x", 1<<20)},
		"another kind":          {`{"version":2,"kind":"go","nonce":"a"}`, `{"version":2,"kind":"connect"}`},
	} {
		c := stranger(t, d, lines...)
		text, _ := io.ReadAll(c) // the acceptor hangs up
		for line := range strings.Lines(string(text)) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil || m["kind"] != "prove" || m["names"] != nil {
				t.Errorf("%s: was told %s", name, line)
			}
		}
		if strings.Contains(string(text), d.Secret()) {
			t.Errorf("%s: was told the secret: %s", name, text)
		}
		hung := stranger(t, d, lines...) // one that hangs up itself, as by a host that starts again
		_ = hung.(*net.TCPConn).SetLinger(0)
		_ = hung.Close()
	}
	rightful(t, d, served)
}

// A server's own proof, sent back to it, is none of a master.
func TestAProofIsNoUseToWhoHasHeardIt(t *testing.T) {
	d := openAcceptor(t, anyPort)
	served := serveOne(t, d)
	c := stranger(t, d, `{"version":2,"kind":"call","nonce":"a"}`)
	in := bufio.NewReader(c)
	line, err := in.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(line); err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(in); len(text) > 0 {
		t.Errorf("after its own proof the server said %s", text)
	}
	rightful(t, d, served)
}

// between relays a line of another's, and changes what it likes.
func between(t *testing.T, server string, toServer, toMaster func(string) string) (address string, heard func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said bytes.Buffer // by the master
	var group sync.WaitGroup
	relay := func(to, from net.Conn, change func(string) string, note bool) {
		defer to.Close()
		in := bufio.NewReader(from)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if note {
				mu.Lock()
				said.WriteString(line)
				mu.Unlock()
			}
			if _, err := io.WriteString(to, change(line)); err != nil {
				return
			}
		}
	}
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				_ = c.Close()
				continue
			}
			group.Go(func() { relay(s, c, toServer, true) })
			group.Go(func() { relay(c, s, toMaster, false) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return l.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
}

func same(s string) string { return s }

// connect has a master of a group call a place once, and returns why it could not.
func connect(t *testing.T, place string) error {
	t.Helper()
	p, err := mpilink.ParsePlace(place)
	if err != nil {
		t.Fatal(err)
	}
	defer mpilink.TryOnce()()
	g := mpilink.NewConnected(mpilink.Connection{Place: p, Init: func() error { return errors.New("MPI was started") }})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = g.Open(ctx, nobody{})
	if err == nil {
		t.Error("the group is open")
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return err
}

func TestWhatAMasterHasSaidIsNoUseToWhoHasHeardIt(t *testing.T) {
	d := openAcceptor(t, anyPort)
	served := serveOne(t, d)
	address, heard := between(t, d.Address(), same, same)
	if err := connect(t, "tcp:"+address); err == nil || !strings.Contains(err.Error(), "MPI was started") {
		t.Fatalf("the master, who comes as far as MPI: %v", err)
	}
	said := strings.TrimRight(heard(), "\n")
	if n := strings.Count(said, "\n"); n != 1 {
		t.Fatalf("the master said %d lines, want its call and its proof:\n%s", n+1, said)
	}
	c := stranger(t, d, said, `{"version":2,"kind":"go"}`)
	if text, _ := io.ReadAll(c); strings.Count(string(text), "\n") != 1 || strings.Contains(string(text), "welcome") {
		t.Errorf("what was said before is answered by %s", text)
	}
	rightful(t, d, served)
}

func TestWhoIsBetweenMasterAndServerCanChangeNothing(t *testing.T) {
	d := openAcceptor(t, anyPort)
	serveOne(t, d)
	for name, change := range map[string]func(string) string{
		"the name server": func(s string) string { return strings.Replace(s, "1.0;tcp://127.0.0.1", "1.0;tcp://10.6.6.6", 1) },
		"its text":        func(s string) string { return strings.Replace(s, `"welcome"`, `"refused","text":"go away"`, 1) },
		"the signature":   func(s string) string { return strings.Replace(s, "} ", "} 0", 1) },
		"no signature": func(s string) string {
			text, _, signed := strings.Cut(s, "} ")
			if signed {
				return text + "}\n"
			}
			return s
		},
	} {
		address, _ := between(t, d.Address(), same, change)
		if err := connect(t, "tcp:"+address); err == nil || !strings.Contains(err.Error(), "not signed by the other side") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoListensInTheServersPlaceLearnsNothing(t *testing.T) {
	secret := "a secret that is worth a lot"
	path := ownSecret(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(call string) string{
		"its own call":  same,
		"a welcome":     func(string) string { return `{"version":2,"kind":"welcome","names":"1.0;tcp://10.6.6.6:1"}` + "\n" },
		"a wrong proof": func(string) string { return `{"version":2,"kind":"prove","nonce":"b","proof":"00"}` + "\n" },
		"its own nonce": func(call string) string {
			return strings.Replace(strings.Replace(call, `"call"`, `"prove"`, 1), "}", `,"proof":"00"}`, 1)
		},
		"an old welcome": func(string) string { return `{"version":1,"kind":"welcome"}` + "\n" },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var heard bytes.Buffer
			over := make(chan struct{})
			go func() {
				defer close(over)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					in := bufio.NewReader(c)
					line, _ := in.ReadString('\n')
					_, _ = io.WriteString(c, answer(line))
					rest, _ := io.ReadAll(in)
					fmt.Fprintf(&heard, "%s%s", line, rest)
					_ = c.Close()
				}
			}()
			err = connect(t, "tcp:"+l.Addr().String())
			_ = l.Close()
			<-over
			if err == nil || !strings.Contains(err.Error(), "does not know the secret") && !strings.Contains(err.Error(), "speaks version 1") {
				t.Errorf("the master: %v", err)
			}
			if text := heard.String(); strings.Contains(text, secret) || strings.Contains(text, "proof") || !strings.Contains(text, `"call"`) {
				t.Errorf("it was told %s", text)
			}
		})
	}
}

func TestAServerIsReachedFromItsOwnHostUnlessItIsToldOtherwise(t *testing.T) {
	loopback := func(addresses []string) bool {
		for _, a := range addresses {
			host, _, _ := net.SplitHostPort(a)
			if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
				return false
			}
		}
		return len(addresses) > 0
	}
	file := "file:" + filepath.Join(t.TempDir(), "port")
	for _, place := range []string{file, "tcp::0", "tcp:127.0.0.1:0"} {
		d := openAcceptor(t, place)
		if host, _, _ := net.SplitHostPort(d.Address()); !loopback(d.Addresses()) || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s: listens at %s, says %q", place, d.Address(), d.Addresses())
		}
		d.Close()
	}
	p, err := mpilink.ParsePlace(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := mpilink.OpenDesk(t.Context(), p, "0.0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Addresses()) < 2 || loopback(d.Addresses()) {
		t.Errorf("at all addresses: %q", d.Addresses())
	}
}
