package loopback_test

import (
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
)

// journalled answers "ready" when a task is written into its journal and not sent.
func journalled(ep link.Endpoint) {
	for {
		if _, err := ep.Recv(); err != nil {
			return
		}
		j := ep.Journal()
		j.Picked(2)
		j.Finished(1, len(append(j.Buffer(), "kept"...)))
		_ = ep.Send(text("ready"))
	}
}

func TestLoseWithProofDeliversAndSalvages(t *testing.T) {
	e := make(events, 8)
	g := loopback.New(loopback.Config{Slots: 1, Serve: journalled})
	open(t, g, e)
	g.Start(0)
	g.Send(0, text("go"))
	e.expect(t, "0: ready")
	g.Lose(0, true, errors.New("pulled the plug"))
	e.expect(t, `0 lost: pulled the plug (finished 1, picked 2, "kept")`)
}

func TestLoseWithoutProofDropsWhatIsDelayed(t *testing.T) {
	e := make(events, 8)
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	open(t, g, e)
	g.Start(0)
	g.Send(0, text("before"))
	e.expect(t, "0: before")
	g.Delay(0, loopback.ToMaster, make(chan struct{}))
	g.Send(0, text("delayed"))
	g.Lose(0, false, errors.New("gone"))
	e.expect(t, "0 lost: gone")
}

func TestDelayedFramesArriveInOrder(t *testing.T) {
	for _, d := range []loopback.Direction{loopback.ToWorker, loopback.ToMaster} {
		e := make(events, 8)
		g := loopback.New(loopback.Config{Slots: 2, Serve: echo})
		open(t, g, e)
		g.Start(0)
		g.Start(1)
		release := make(chan struct{})
		g.Delay(0, d, release)
		g.Send(0, text("a"))
		g.Send(0, text("b"))
		g.Send(1, text("other"))
		e.expect(t, "1: other")
		if len(e) != 0 {
			t.Fatalf("%q came through the delay", <-e)
		}
		close(release)
		e.expect(t, "0: a", "0: b")
		g.Send(0, text("c"))
		e.expect(t, "0: c")
	}
}

func TestTheEndOfAWorkerReleasesItsDelayedFramesFirst(t *testing.T) {
	e := make(events, 8)
	sent := make(chan struct{})
	g := loopback.New(loopback.Config{Slots: 1, Serve: func(ep link.Endpoint) {
		_, _ = ep.Recv()
		_ = ep.Send(text("last words"))
		close(sent)
		_ = ep.Close()
	}})
	open(t, g, e)
	g.Start(0)
	g.Delay(0, loopback.ToMaster, make(chan struct{}))
	g.Send(0, text("go"))
	<-sent
	e.expect(t, "0: last words", `0 lost: <nil> (finished 0, picked 0, "")`)
}

func TestCutShortensOneFrame(t *testing.T) {
	e := make(events, 8)
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	open(t, g, e)
	g.Start(0)
	g.Cut(0, loopback.ToWorker, 3)
	g.Send(0, text("shortened"))
	g.Send(0, text("whole"))
	e.expect(t, "0: sho", "0: whole")
	g.Cut(0, loopback.ToMaster, 0)
	g.Send(0, text("emptied"))
	e.expect(t, "0: ")
}

func TestAHeldRecvSeesNothingUntilReleased(t *testing.T) {
	e := make(events, 8)
	g := loopback.New(loopback.Config{Slots: 2, Serve: echo})
	open(t, g, e)
	release := make(chan struct{})
	g.HoldRecv(0, release)
	g.Start(0)
	g.Start(1)
	g.Send(0, text("held"))
	g.Send(1, text("free"))
	e.expect(t, "1: free")
	g.Kill(0, errors.New("killed while held"))
	e.expect(t, "0 lost: killed while held")
	g.Start(0)
	g.Send(0, text("again"))
	close(release)
	e.expect(t, "0: again")
}
