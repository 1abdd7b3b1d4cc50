package mpilink_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// J03, J05
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

// openDesk opens the desk of a server that has a name server, at an address.
func openDesk(t *testing.T) mpilink.Desk {
	t.Helper()
	names, err := net.Listen("tcp", "127.0.0.1:0") // that somebody answers is all that is asked of it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close() })
	t.Setenv("OMPI_MCA_pmix_server_uri", "1.0;tcp://"+names.Addr().String())
	place, err := mpilink.ParsePlace("tcp:127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := mpilink.OpenDesk(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// said is what comes and goes at a desk.
type said struct {
	Version   int
	Kind      string
	Host      string
	Pid       int
	Text      string
	Names, ID string
}

// master is one that calls by hand.
type master struct {
	net.Conn
	in *bufio.Reader
}

// call has a master call whose process has a number, and returns the answer, the zero one when the call is not taken.
func call(t *testing.T, d mpilink.Desk, pid int) (master, said) {
	t.Helper()
	c, err := net.Dial("tcp", d.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	m := master{c, bufio.NewReader(c)}
	m.say("call", pid)
	var answer said
	line, err := m.in.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &answer)
	}
	if err != nil {
		_ = c.Close()
		return m, said{}
	}
	return m, answer
}

func (m master) say(kind string, pid int) {
	_, _ = fmt.Fprintf(m, `{"version":1,"kind":%q,"host":"somewhere","pid":%d}`+"\n", kind, pid)
}

// patience is the end of every wait here.
var patience = testkit.Limit

// goOn waits for a master's turn, and has it go on.
func (m master) goOn(t *testing.T, pid int) {
	t.Helper()
	for {
		line, err := m.in.ReadString('\n')
		if err != nil {
			t.Errorf("master %d: %v", pid, err)
			return
		}
		if strings.Contains(line, `"welcome"`) {
			m.say("go", pid)
			return
		}
	}
}

func TestCallersThatLeaveWhileTheyWaitGiveTheirPlacesUp(t *testing.T) {
	d := openDesk(t)
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
	told := func(pid int, whom string) (m master) {
		t.Helper()
		for ctx.Err() == nil { // one that finds all places taken is not answered
			m, answer := call(t, d, pid)
			if answer.Kind == "busy" && strings.Contains(answer.Text, whom) {
				return m
			}
			if answer.Kind != "" {
				t.Fatalf("master %d was told %+v, want to wait for %q", pid, answer, whom)
			}
			time.Sleep(time.Millisecond) // the desk notices in its own time
		}
		t.Fatalf("master %d never got a place", pid)
		return m
	}
	go next()
	first, answer := call(t, d, 1)
	if answer.Kind != "welcome" {
		t.Fatalf("the first master was told %+v", answer)
	}
	first.say("go", 1)
	if name := <-served; name != "process 1 on somewhere" {
		t.Fatalf("%s is served", name)
	}
	for i := range mpilink.MaxCallers {
		m := told(100+i, "process 1 on somewhere")
		if i%3 == 0 { // not with a goodbye, but as by a host that has started again
			_ = m.Conn.(*net.TCPConn).SetLinger(0)
		}
		if i%3 == 1 {
			m.say("nonsense", i)
			continue
		}
		_ = m.Close()
	}
	gone, second, third := told(2, "process 1"), told(3, "process 1"), told(4, "process 1")
	_ = gone.Close()
	for pid, m := range map[int]master{3: second, 4: third} { // they have come at about the same time
		turns.Go(func() { m.goOn(t, pid) })
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
	d := openDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, _, err := d.Next(ctx)
		ended <- err
	}()
	if _, answer := call(t, d, 1); answer.Kind != "welcome" {
		t.Fatalf("the first master was told %+v", answer)
	}
	if _, answer := call(t, d, 2); answer.Kind != "busy" || !strings.Contains(answer.Text, "process 1") {
		t.Errorf("the second master was told %+v", answer)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
