//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

const portTag = 11

func openPort(t testing.TB, o mpi.PortOptions) (*mpi.Comm, *mpi.Port) {
	c := must(must(mpi.World())(t).Dup())(t)
	o.Tag = portTag
	return c, must(mpi.NewPort(c, o))(t)
}

func closePort(t testing.TB, c *mpi.Comm, p *mpi.Port) {
	t.Helper()
	if err := p.Close(within(t)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Close(t.Context()), c.Barrier(), c.Free()); err != nil {
		t.Error(err)
	}
}

// poll drives a port until f says that it has seen enough.
func poll(t testing.TB, p *mpi.Port, room int, f func(mpi.Event) bool) {
	t.Helper()
	events := make([]mpi.Event, room)
	for end := time.Now().Add(testkit.Limit); time.Now().Before(end); {
		n, err := p.Poll(50*time.Microsecond, events)
		if err != nil {
			t.Fatal(err)
		}
		enough := false
		for _, e := range events[:n] {
			if e.Err != nil && e.Err != mpi.ErrEnded {
				t.Fatalf("%+v", e)
			}
			enough = f(e) || enough
		}
		if enough {
			return
		}
	}
	t.Fatal("nothing more comes")
}

func TestAPortEchoesShortAndLongMessagesInOrder(t *testing.T) {
	if mpitest.Under(t, 3) {
		echo(t, mpi.PortOptions{}, 256)
	}
}

func TestAPortWithLittleRoomLosesNothing(t *testing.T) {
	if mpitest.Under(t, 3) {
		echo(t, mpi.PortOptions{Eager: 1000, Arena: 2000, Events: 3}, 2)
	}
}

func TestAPortWithReceivesPostedAheadEchoesInOrder(t *testing.T) {
	if mpitest.Under(t, 3) {
		echo(t, mpi.PortOptions{Eager: 1 << 20, Posted: 3}, 256)
	}
}

func TestAPortWithReceivesPostedAheadAndLittleRoomLosesNothing(t *testing.T) {
	if mpitest.Under(t, 3) {
		echo(t, mpi.PortOptions{Eager: 1 << 20, Events: 3, Posted: 8}, 2)
	}
}

// cameFile is the variable with the name of the file that says that the message has come.
const cameFile = "MPITEST_CAME"

// A message whose sender has died since must come all the same, or what waits behind it never does.
func TestAMessageUpToTheEagerLimitComesFromARankThatIsDead(t *testing.T) {
	if mpitest.InRank() {
		sendAndDie(t)
		return
	}
	library, err := mpitest.Linked()
	if err != nil {
		t.Fatal(err)
	}
	if library == "mpich" {
		t.Skip("its proxy kills the other ranks of a host that has lost one; tests/modes loses ranks behind something that stays")
	}
	came := filepath.Join(t.TempDir(), "came") // a launcher may drop what was printed last
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 2, Args: []string{"-test.run=^" + t.Name() + "$", "-test.v"}, Options: []string{mpitest.Leave[library]},
		Env: []string{cameFile + "=" + came},
	})
	if _, not := os.Stat(came); err != nil || not != nil {
		t.Errorf("%v, %v; status %d, expired %v, the ranks printed:\n%s", not, err, r.Code, r.Expired, r.Report())
	}
}

// sendAndDie has rank 1 begin to send while rank 0 is not in MPI, and end. Rank 0 looks for the message afterwards.
func sendAndDie(t *testing.T) {
	_, p := openPort(t, mpi.PortOptions{Posted: 2, Longest: mpi.Eager})
	if p.Comm().Rank() > 0 {
		var address string
		poll(t, p, 2, func(e mpi.Event) bool { address = string(e.Data); return true })
		line, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer line.Close()
		if _, err := line.Read(make([]byte, 1)); err != nil { // rank 0 has left MPI
			t.Fatal(err)
		}
		_, err = p.Send(0, portTag, make([]byte, mpi.Eager), 0)
		if err == nil {
			_, err = p.Poll(0, make([]mpi.Event, 2))
		}
		if err == nil {
			err = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := p.Send(1, portTag, []byte(l.Addr().String()), 0); err != nil {
		t.Fatal(err)
	}
	for !p.Idle() {
		if _, err := p.Poll(50*time.Microsecond, make([]mpi.Event, 2)); err != nil {
			t.Fatal(err)
		}
	}
	line, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := line.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if _, err := line.Read(make([]byte, 1)); err == nil {
		t.Fatal("rank 1 lives")
	}
	poll(t, p, 2, func(e mpi.Event) bool { return len(e.Data) == mpi.Eager })
	if err := os.WriteFile(os.Getenv(cameFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Fatal(mpi.Abort(0)) // a rank is lost
}

// The receives wait for any rank. A loss is an error of all of them until it is acknowledged.
func TestALibraryThatTellsOfALossDeliversWhatTheOthersSend(t *testing.T) {
	if mpitest.InRank() {
		loseOneRank(t)
		return
	}
	library, err := mpitest.Linked()
	if err != nil {
		t.Fatal(err)
	}
	if !mpitest.VersionOf(library).PRRTE() {
		t.Skip("only an Open MPI since version 5 tells of lost ranks; here is another MPI, or version 4")
	}
	came := filepath.Join(t.TempDir(), "came")
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 3, Args: []string{"-test.run=^" + t.Name() + "$", "-test.v"}, Options: []string{"--with-ft", "ulfm"},
		Env: []string{cameFile + "=" + came},
	})
	if _, not := os.Stat(came); err != nil || not != nil {
		t.Errorf("%v, %v; status %d, expired %v, the ranks printed:\n%s", not, err, r.Code, r.Expired, r.Report())
	}
}

// longRest is the length of a message that no library sends before it is asked to.
const longRest = 4 << 20

// loseOneRank has rank 2 die. Rank 0 hears of it from its port, and then from rank 1, which has been told too.
func loseOneRank(t *testing.T) {
	_, p := openPort(t, mpi.PortOptions{Posted: 2, Longest: mpi.Eager})
	dead := func(e mpi.Event) bool { return e.Err == mpi.ErrEnded && e.Peer == 2 }
	if p.Comm().Rank() < 2 {
		if _, err := p.Send(2, portTag, []byte{0}, 0); err != nil {
			t.Fatal(err)
		}
	}
	switch p.Comm().Rank() {
	case 2:
		ready := 0 // the others have left the call that made the communicator
		poll(t, p, 2, func(e mpi.Event) bool { ready += len(e.Data); return ready == 2 })
		if _, err := p.Send(0, portTag+1, make([]byte, longRest), 1); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Poll(time.Millisecond, make([]mpi.Event, 1)); err != nil { // which begins it
			t.Fatal(err)
		}
		t.Fatal(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	case 1:
		poll(t, p, 1, dead)
		if _, err := p.Send(0, portTag, []byte("told"), 0); err != nil {
			t.Fatal(err)
		}
		poll(t, p, 1, func(mpi.Event) bool { return false }) // until the end of the job
	}
	lost, told := false, false // in this order or the other
	poll(t, p, 1, func(e mpi.Event) bool {
		lost, told = lost || dead(e), told || string(e.Data) == "told"
		return lost && told
	})
	// A receive of the rest of its message is over at once.
	if err := p.RecvFrom(2, portTag+1, make([]byte, longRest), 7); err != nil {
		t.Fatal(err)
	}
	poll(t, p, 1, func(e mpi.Event) bool { return e.Token == 7 && e.Kind == mpi.Failed && e.Err == mpi.ErrEnded })
	if err := os.WriteFile(os.Getenv(cameFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Fatal(mpi.Abort(0)) // a rank is lost
}

func TestAMessageThatIsTooLongForAPostedReceiveIsAnErrorOfItsSender(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	c, p := openPort(t, mpi.PortOptions{Eager: 100, Posted: 2})
	defer closePort(t, c, p)
	if c.Rank() > 0 {
		for _, text := range []string{strings.Repeat("x", 101), "short"} {
			if _, err := p.Send(0, portTag, []byte(text), 1); err != nil {
				t.Fatal(err)
			}
		}
		return // Close sends what is queued
	}
	events := make([]mpi.Event, 2)
	var all []mpi.Event
	for end := time.Now().Add(testkit.Limit); len(all) < 2 && time.Now().Before(end); {
		n, err := p.Poll(50*time.Microsecond, events)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events[:n] {
			e.Data = append([]byte(nil), e.Data...)
			all = append(all, e)
		}
	}
	if len(all) != 2 || all[0].Kind != mpi.Failed || all[0].Peer != 1 || all[0].Err == nil {
		t.Fatalf("%+v", all)
	}
	if string(all[1].Data) != "short" {
		t.Errorf("the message behind it is %+v", all[1])
	}
}

func TestAPortThatStagesLongMessagesDeliversThem(t *testing.T) {
	if mpitest.Under(t, 3) {
		echo(t, mpi.PortOptions{Stage: true}, 16)
	}
}

// echo: rank 0 sends numbered messages of many lengths to the others at once and checks what comes back, in order.
func echo(t *testing.T, o mpi.PortOptions, room int) {
	c, p := openPort(t, o)
	defer closePort(t, c, p)
	sizes := []int{64, 0, 999, 1001, 64 << 10, 64<<10 + 1, 64, 1 << 20, 3, 200000}
	const rounds = 10
	inbox := map[uint64][]byte{}
	var mu sync.Mutex
	token := uint64(0)
	send := func(to int, b []byte) {
		token++
		if _, err := p.Send(to, portTag, b, token); err != nil {
			t.Fatal(err)
		}
	}
	// message calls f with each message, long ones after they were received, so out of order among others.
	message := func(e mpi.Event, f func(from int, b []byte)) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Kind {
		case mpi.Received:
			f(e.Peer, append([]byte(nil), e.Data...))
		case mpi.Arrived:
			token++
			inbox[token] = make([]byte, e.Len)
			if err := p.Take(e.Message, inbox[token], token); err != nil {
				t.Fatal(err)
			}
		case mpi.Done:
			if b, ok := inbox[e.Token]; ok {
				delete(inbox, e.Token)
				f(e.Peer, b)
			}
		}
	}
	total := rounds * len(sizes)
	if c.Rank() != 0 {
		n := 0
		poll(t, p, room, func(e mpi.Event) bool {
			message(e, func(from int, b []byte) { n++; send(from, b) })
			return n == total
		})
		return
	}
	want := map[int]map[string]int{}
	for w := 1; w < c.Size(); w++ {
		want[w] = map[string]int{}
		for r := range rounds {
			for _, n := range sizes {
				b := pattern(n, 10*w+r)
				want[w][string(b)]++
				send(w, b)
			}
		}
	}
	left := total * (c.Size() - 1)
	poll(t, p, room, func(e mpi.Event) bool {
		message(e, func(from int, b []byte) {
			if want[from][string(b)]--; want[from][string(b)] < 0 {
				t.Fatalf("rank %d sent %d bytes that nobody expects", from, len(b))
			}
			left--
		})
		return left == 0
	})
}

func TestShortMessagesOfOneSenderKeepTheirOrder(t *testing.T) {
	if !mpitest.Under(t, 3) {
		return
	}
	shortMessages(t, mpi.PortOptions{Events: 7})
}

func TestShortMessagesOfOneSenderKeepTheirOrderInPostedReceives(t *testing.T) {
	if !mpitest.Under(t, 3) {
		return
	}
	shortMessages(t, mpi.PortOptions{Events: 7, Posted: 16})
}

func shortMessages(t *testing.T, o mpi.PortOptions) {
	c, p := openPort(t, o)
	defer closePort(t, c, p)
	const n = 5000
	if c.Rank() > 0 {
		for i := range n {
			if _, err := p.Send(0, portTag, []byte{byte(i), byte(i >> 8)}, 0); err != nil {
				t.Fatal(err)
			}
		}
		return // Close sends what is queued
	}
	next := map[int]int{}
	poll(t, p, 5, func(e mpi.Event) bool {
		if got := int(e.Data[0]) | int(e.Data[1])<<8; got != next[e.Peer] {
			t.Fatalf("rank %d sent %d when %d was due", e.Peer, got, next[e.Peer])
		}
		next[e.Peer]++
		return next[1] == n && next[2] == n
	})
}

func TestSendEndsASpinAtOnce(t *testing.T) {
	if !mpitest.Under(t, 1) {
		return
	}
	c, p := openPort(t, mpi.PortOptions{})
	defer closePort(t, c, p)
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		events := make([]mpi.Event, 1)
		for {
			n, err := p.Poll(testkit.Limit, events)
			if err != nil {
				t.Error(err)
			}
			if n > 0 || err != nil {
				return
			}
		}
	}()
	// Whether the poll has begun or not: it must not spin for its minute.
	if _, err := p.Send(0, portTag, []byte("to myself"), 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
	case <-within(t).Done():
		t.Fatal("the poll went on spinning")
	}
}

func TestOperationsWithAnAbandonedPeerFailAndTheRestGoesOn(t *testing.T) {
	if !mpitest.Under(t, 3) {
		return
	}
	c, p := openPort(t, mpi.PortOptions{})
	if c.Rank() == 0 {
		events := make([]mpi.Event, 8)
		if err := p.RecvFrom(1, 50, make([]byte, 100), 7); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Poll(0, events); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if err := p.Abandon(1); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(1, portTag, []byte("too late"), 0); err != nil {
			t.Fatal(err)
		}
		var tokens []uint64
		for len(tokens) < 2 {
			n, err := p.Poll(time.Millisecond, events)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events[:n] {
				if e.Kind != mpi.Failed || e.Peer != 1 || !errors.Is(e.Err, mpi.ErrLost) {
					t.Fatalf("%+v", e)
				}
				tokens = append(tokens, e.Token)
			}
		}
		if tokens[0] != 7 || tokens[1] != 0 {
			t.Errorf("tokens are %v", tokens)
		}
		if _, err := p.Send(2, portTag, []byte("still here"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if c.Rank() == 2 {
		poll(t, p, 1, func(e mpi.Event) bool { return string(e.Data) == "still here" })
	}
	closePort(t, c, p)
}
