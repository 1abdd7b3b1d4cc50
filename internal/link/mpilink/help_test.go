//go:build mpi && linux && (amd64 || arm64)

package mpilink_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// one is a handler of a single worker that echoes.
type one struct{ frames atomic.Int64 }

func (o *one) Receive(_ int, f link.Frame) {
	link.PutBuffer(f.Stream)
	o.frames.Add(1)
}
func (o *one) Lost(int, link.Loss) {}

func TestAGoroutineThatWaitsReceivesByItselfAndOneThatGivesUpLosesNothing(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	g := hub.Group(mpilink.Config{Slots: 1})
	o := new(one)
	if _, err := g.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	g.Start(0)
	for n := int64(1); n <= 2000; n++ {
		g.Send(0, link.Frame{Stream: append(link.GetBuffer(), 'e')})
		g.Attend(true)
		there := func() bool { return o.frames.Load() >= n }
		if n%100 != 0 { // else nobody helps
			g.Help(there)
		}
		for end := time.Now().Add(testkit.Limit); !there(); {
			if time.Now().After(end) {
				t.Fatalf("%d of %d frames", o.frames.Load(), n)
			}
			time.Sleep(10 * time.Microsecond) // the poller finds it
		}
		g.Attend(false)
	}
	g.Attend(true)
}

func TestAGoroutineThatGetsNoTurnToHelpDoesNotKeepTheOthersFromPolling(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	g := hub.Group(mpilink.Config{Slots: 1})
	if _, err := g.Open(t.Context(), new(one)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	g.Start(0)
	g.Attend(true)
	helped := false
	if hub.WhileAnotherLooks(func() {
		g.Help(func() bool { helped = true; return false })
	}) {
		t.Error("the goroutine that polls was told that another one does")
	}
	if !helped {
		t.Error("nobody tried to help")
	}
}
