//go:build mpi && linux && (amd64 || arm64)

package mpilink

import (
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// ownPort returns a port of a communicator that has this rank alone.
func ownPort(t *testing.T) *mpi.Port {
	t.Helper()
	c, err := mpi.Self()
	if err != nil {
		t.Fatal(err)
	}
	port, err := newPort(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// alone is mpitest.Under for a test that leaves MPI without MPI_Finalize. The status of mpiexec is its own then: MPICH's is now and then 1
// where the rank's was 0. A rank that fails aborts its job, which MPI says.
func alone(t *testing.T) bool {
	t.Helper()
	if mpitest.InRank() {
		return true
	}
	j := mpitest.Job{Ranks: 1, Args: []string{"-test.run=^" + t.Name() + "$", "-test.v"}}
	if launcher, err := mpitest.Linked(); err != nil || launcher == "openmpi" {
		j.Options = []string{mpitest.Leave["openmpi"]}
	}
	r, err := mpitest.Run(t.Context(), j)
	if err != nil || r.Expired || !strings.Contains(r.Output, "--- PASS: "+t.Name()) || strings.Contains(strings.ToUpper(r.Output), "MPI_ABORT") {
		t.Errorf("%v; status %d, expired %v, the rank printed:\n%s", err, r.Code, r.Expired, r.Report())
	}
	return false
}

// tally counts the losses of each slot.
type tally struct {
	sync.Mutex
	lost []int
}

func (*tally) Receive(int, link.Frame) {}

func (c *tally) Lost(w int, _ link.Loss) {
	c.Lock()
	defer c.Unlock()
	c.lost[w]++
}

// failing returns a hub whose communicator is of no use any more, and a group of it with a worker on each rank.
func failing(t *testing.T, slots int, h link.Handler) (*Hub, *Group) {
	t.Helper()
	self, err := mpi.Self()
	if err != nil {
		t.Fatal(err)
	}
	port, err := newPort(self, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := port.Close(t.Context()); err != nil { // each poll is an error from now on
		t.Fatal(err)
	}
	hub := newHub(Options{}, 1, slots)
	hub.port = port
	g := hub.Group(Config{})
	if _, err := g.Open(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for w := range slots { // Start would find out
		r := &remote{group: g, slot: w, id: uint64(w + 1), peer: w + 1}
		hub.workers[r.id], g.live[r] = r, struct{}{}
		g.slots[w].Store(r)
	}
	return hub, g
}

func TestALossIsToldOnceWhenTheHubFailsWhileItsWorkersAreCutOff(t *testing.T) {
	if !alone(t) {
		return
	}
	const slots, cutters = 4, 3
	for range 200 {
		h := &tally{lost: make([]int, slots)}
		hub, g := failing(t, slots, h)
		begin := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			<-begin
			hub.run()
		})
		for range cutters {
			all.Go(func() {
				<-begin
				for w := range slots {
					g.Kill(w, errors.New("cut off"))
				}
			})
		}
		all.Go(func() {
			<-begin
			hub.help(func() bool { return false })
		})
		close(begin)
		all.Wait()
		if d := cmp.Diff([]int{1, 1, 1, 1}, h.lost); d != "" {
			t.Fatalf("losses of each slot (-want +got):\n%s", d)
		}
	}
}

// The message that finds a rank gone may come before the word that its process has ended. The end must not take the rank for one that
// still runs, or the job is aborted.
func TestTheEndAwaitsTheWordThatALostRankHasEnded(t *testing.T) {
	if !alone(t) {
		return
	}
	port := ownPort(t)
	before := mostUnsure
	mostUnsure = testkit.Limit
	defer func() { mostUnsure = before }()
	hub := newHub(Options{}, 1, 1)
	hub.join(port)
	go hub.run()
	rank := exec.Command("cat") // until its input ends
	input, err := rank.StdinPipe()
	if err == nil {
		err = rank.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := self()
	p.pid = rank.Process.Pid
	if p.start, _, err = started(p.pid); err != nil {
		t.Fatal(err)
	}
	hub.watchProcess(1, p)
	lost := make(chan struct{})
	hub.do(func() {
		hub.lose(1, errors.New("nothing can be sent"))
		close(lost)
	})
	<-lost
	if !MayStillRun() {
		t.Error("a rank that was given up and runs is taken for one that has ended")
	}
	_ = input.Close()
	if err := rank.Wait(); err != nil {
		t.Error(err)
	}
	if err := hub.Close(testkit.Within(t)); err != nil || MayStillRun() {
		t.Errorf("the rank has ended, and is taken for one that may run: %v", err)
	}
}

func TestACommandAfterTheFailureOfTheHubWaitsForItsTurn(t *testing.T) {
	if !alone(t) {
		return
	}
	h := &tally{lost: make([]int, 1)}
	hub, g := failing(t, 1, h)
	hub.hubMu.Lock()
	hub.failed = errors.New("failed")
	hub.hubMu.Unlock()
	hub.turn.Lock() // as a handler that is called
	g.Kill(0, errors.New("cut off"))
	if d := cmp.Diff([]int{0}, h.lost); d != "" {
		t.Errorf("losses during another's turn (-want +got):\n%s", d)
	}
	hub.turn.Unlock()
	hub.late() // as the goroutine does that gives the turn up
	if d := cmp.Diff([]int{1}, h.lost); d != "" {
		t.Errorf("losses after it (-want +got):\n%s", d)
	}
}

// The server ends as soon as it may, and the hub only when its goroutine that polls has come to that.
func TestAServerThatGoesWhenItMayIsNotLost(t *testing.T) {
	const ranks = 3
	hub := newHub(Options{}, 1, ranks)
	hub.leaving, hub.stopping = true, true
	gone := make(chan struct{})
	close(gone)
	(&connecting{hub: hub}).watch(gone, lineMessage{})
	if n := len(hub.alive()); n != ranks {
		t.Errorf("%d of %d ranks are taken for lost", ranks-n, ranks)
	}
}
