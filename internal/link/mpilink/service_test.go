package mpilink_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestAPlaceIsANameAFileOrAnAddress(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]string{
		"": "rankpool", "a-name.1": "a-name.1", "file:/x/y": "file:/x/y", "file:y": "file:" + filepath.Join(here, "y"),
		"tcp:": "tcp::31415", "tcp:host": "tcp:host:31415", "tcp::7": "tcp::7", "tcp:host:7": "tcp:host:7", "tcp:[::1]:7": "tcp:[::1]:7",
		"tcp:[::1]": "tcp:[::1]:31415",
	} {
		p, err := mpilink.ParsePlace(s)
		if err != nil || p.String() != want {
			t.Errorf("%q: %v, %v", s, p, err)
		}
		if again, err := mpilink.ParsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q: %v is not read as itself: %v, %v", s, p, again, err)
		}
	}
	for _, s := range []string{"a b", "a/b", "flie:x", "file:", "tcp:a:b:c", strings.Repeat("x", 201), "a\nb"} {
		if p, err := mpilink.ParsePlace(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}

// nobody is a scheduler that no group tells anything.
type nobody struct{ link.Handler }

// Whatever listens where a server is said to be must not hold a master up for longer than the start may take.
func TestAMasterIsNotHeldUpByWhatIsNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n%2 == 0 { // the others are left without an answer
				_, _ = c.Write([]byte("220 mail.example.org ESMTP\r\n"))
				_ = c.Close()
			}
			defer c.Close()
		}
	}()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("nobody will ever guess this"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(mpilink.SecretVariable, secret)
	place, err := mpilink.ParsePlace("tcp:" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	g := mpilink.NewConnected(mpilink.Connection{Place: place, Init: func() error { return errors.New("MPI was started") }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = g.Open(ctx, nobody{})
	if err == nil || !strings.Contains(err.Error(), "rankpool serve --service tcp:") {
		t.Errorf("Open = %v", err)
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// openAcceptor opens the acceptor of a server that has a name server, at an address unless place says where.
func openAcceptor(t *testing.T, place string) mpilink.Acceptor {
	t.Helper()
	names, err := net.Listen("tcp", "127.0.0.1:0") // that somebody answers is all that is asked of it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close() })
	t.Setenv("OMPI_MCA_pmix_server_uri", "1.0;tcp://"+names.Addr().String())
	ownSecret(t)
	p, err := mpilink.ParsePlace(place)
	if err != nil {
		t.Fatal(err)
	}
	d, err := mpilink.OpenDesk(t.Context(), p, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// anyPort is a place at which nobody else listens.
const anyPort = "tcp:127.0.0.1:0"

// ownSecret gives a test a folder for settings of its own, and so a secret.
func ownSecret(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv(mpilink.SecretVariable, "")
	return filepath.Join(dir, "rankpool", "secret")
}

// patience is the end of every wait here.
var patience = testkit.Limit

// call has a master call whose process has a number, and returns the answer, which is empty when the call is not taken.
func call(t *testing.T, d mpilink.Acceptor, pid int) (m mpilink.Master, kind, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, kind, text, err := d.Call(ctx, pid)
	if err != nil {
		kind = ""
	}
	t.Cleanup(func() { _ = m.Conn().Close() })
	return m, kind, text
}

// goOn waits for a master's turn, and has it go on.
func goOn(t *testing.T, m mpilink.Master, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		switch kind, _, err := m.Hear(ctx); {
		case err != nil:
			t.Errorf("master %d: %v", pid, err)
			return
		case kind == "welcome":
			if err := m.Say("go"); err != nil {
				t.Errorf("master %d: %v", pid, err)
			}
			return
		}
	}
}

func TestCallersThatLeaveWhileTheyWaitGiveTheirPlacesUp(t *testing.T) {
	d := openAcceptor(t, anyPort)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	served := make(chan string)
	end := func() error { return nil }
	var turns sync.WaitGroup
	next := func() {
		name, over, err := d.Next(ctx)
		if err != nil {
			name, over = err.Error(), func() error { return err }
		}
		end = over
		served <- name
	}
	// told is a call of a master that is told whom it waits for.
	told := func(pid int, whom string) (m mpilink.Master) {
		t.Helper()
		for ctx.Err() == nil { // one that finds all places taken is not answered
			m, kind, text := call(t, d, pid)
			if kind == "busy" && strings.Contains(text, whom) {
				return m
			}
			if kind != "" {
				t.Fatalf("master %d was told %s, %q, want to wait for %q", pid, kind, text, whom)
			}
			time.Sleep(time.Millisecond) // the acceptor notices in its own time
		}
		t.Fatalf("master %d never got a place", pid)
		return m
	}
	go next()
	first, kind, text := call(t, d, 1)
	if kind != "welcome" {
		t.Fatalf("the first master was told %s, %q", kind, text)
	}
	if err := first.Say("go"); err != nil {
		t.Fatal(err)
	}
	if name := <-served; name != "process 1 on somewhere" {
		t.Fatalf("%s is served", name)
	}
	for i := range mpilink.MaxCallers {
		m := told(100+i, "process 1 on somewhere")
		if i%3 == 0 { // not with a goodbye, but as by a host that has started again
			_ = m.Conn().(*net.TCPConn).SetLinger(0)
		}
		if i%3 == 1 {
			_ = m.Say("nonsense")
			continue
		}
		_ = m.Conn().Close()
	}
	gone, second, third := told(2, "process 1"), told(3, "process 1"), told(4, "process 1")
	_ = gone.Conn().Close()
	for pid, m := range map[int]mpilink.Master{3: second, 4: third} { // they have come at about the same time
		turns.Go(func() { goOn(t, m, pid) })
	}
	var names []string
	for range 2 {
		if err := end(); err != nil {
			t.Error(err)
		}
		go next()
		names = append(names, <-served)
	}
	turns.Wait()
	slices.Sort(names)
	if diff := cmp.Diff([]string{"process 3 on somewhere", "process 4 on somewhere"}, names); diff != "" {
		t.Error(diff)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestACallerBehindOneThatIsStillStartingIsToldToWait(t *testing.T) {
	d := openAcceptor(t, anyPort)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, _, err := d.Next(ctx)
		ended <- err
	}()
	if _, kind, text := call(t, d, 1); kind != "welcome" {
		t.Fatalf("the first master was told %s, %q", kind, text)
	}
	if _, kind, text := call(t, d, 2); kind != "busy" || !strings.Contains(text, "process 1") {
		t.Errorf("the second master was told %s, %q", kind, text)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestALineToAServerThatIsReachedTooLateIsClosed(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	if err := there.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	gaveUp, reached := mpilink.GiveUpAndThenReach(ctx, here)
	if !errors.Is(gaveUp, cause) || reached == nil {
		t.Errorf("gave up: %v; reached: %v", gaveUp, reached)
	}
	if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the server's end: %v, want EOF", err)
	}
}
