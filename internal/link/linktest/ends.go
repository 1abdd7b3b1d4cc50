package linktest

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
)

var errCause = errors.New("the scheduler's reason")

func testGoodEnd(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	fx.Send(0, text(verbEcho, "last"))
	fx.Send(0, command(verbClose))
	fx.frame(0)
	if l := fx.loss(0); l.Err != nil {
		t.Errorf("Err = %v, want nil", l.Err)
	}
}

func testFramesBeforeLoss(t *testing.T, h Harness) {
	fx := started(t, h, 2)
	const n, size = 50, 100_000
	for w := range 2 {
		fx.Send(w, numbers(verbDie, n, size))
	}
	for w := range 2 {
		for i := range uint64(n) {
			if _, got := checkBurst(t, fx.frame(w), size); got != i {
				t.Fatalf("slot %d: frame %d, want %d", w, got, i)
			}
		}
		if l := fx.loss(w); l.Err == nil {
			t.Errorf("slot %d: a worker that ended without closing was lost without an error", w)
		}
	}
}

func testPanic(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	fx.Send(0, command(verbPanic))
	if l := fx.loss(0); l.Err == nil {
		t.Error("a worker that panicked was lost without an error")
	}
}

func testJournal(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	lives := 1
	if fx.Traits().Replaces {
		lives = 2 // the second life must not find the first one's marks
	}
	for life := range lives {
		if life > 0 {
			fx.Start(0)
			fx.Send(0, numbers(verbDie, 0, 0))
			if l := fx.loss(0); l.Proof && (l.Finished != 0 || l.Picked != 0 || len(l.Salvage) != 0) {
				t.Errorf("a worker that wrote nothing left finished %d, picked %d, %q", l.Finished, l.Picked, l.Salvage)
			}
			fx.Start(0)
		}
		f := numbers(verbJournal, uint64(7+life), uint64(9+life))
		f.Stream = append(f.Stream, "unsent results"...)
		fx.Send(0, f)
		l := fx.loss(0)
		if l.Proof != h.Proof {
			t.Fatalf("Proof = %v, want %v", l.Proof, h.Proof)
		}
		if !l.Proof {
			return
		}
		want := link.Loss{Proof: true, Salvage: []byte("unsent results"), Finished: uint64(7 + life), Picked: uint64(9 + life)}
		l.Err = nil
		if diff := cmp.Diff(want, l); diff != "" {
			t.Errorf("the loss (-want +got):\n%s", diff)
		}
	}
}

func testKillBusy(t *testing.T, h Harness) {
	fx := started(t, h, 2)
	fx.hold(0)
	for range 100 {
		fx.Send(0, command(verbEcho, make([]byte, 64<<10)...))
	}
	fx.within("Kill", func() { fx.Kill(0, errCause) })
	if l := fx.loss(0); !errors.Is(l.Err, errCause) {
		t.Errorf("Err = %v, want it to wrap the cause", l.Err)
	}
	fx.Kill(0, errors.New("again"))
	fx.Send(1, text(verbEcho, "unharmed"))
	fx.frame(1)
}

func testKillIdle(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	fx.Send(0, text(verbEcho, "up"))
	fx.frame(0)
	fx.Kill(0, errCause)
	if l := fx.loss(0); !errors.Is(l.Err, errCause) {
		t.Errorf("Err = %v, want it to wrap the cause", l.Err)
	}
}

func testKillEarly(t *testing.T, h Harness) {
	fx := started(t, h, 3)
	for w := range 3 {
		fx.Kill(w, errCause)
		fx.Kill(w, errors.New("a later cause"))
	}
	for w := range 3 {
		if l := fx.loss(w); !errors.Is(l.Err, errCause) {
			t.Errorf("slot %d: Err = %v, want it to wrap the first cause", w, l.Err)
		}
	}
}

func testRestart(t *testing.T, h Harness) {
	fx := started(t, h, 2)
	if !fx.Traits().Replaces {
		t.Skipf("a %s group does not replace workers", fx.Traits().Kind)
	}
	for life := range uint64(4) {
		fx.Send(0, numbers(verbEcho, life))
		if got := binary.LittleEndian.Uint64(fx.frame(0).Stream[1:]); got != life {
			t.Fatalf("life %d answered %d", life, got)
		}
		switch life % 3 {
		case 0:
			fx.Send(0, command(verbClose))
		case 1:
			fx.Send(0, numbers(verbDie, 0, 0))
		case 2:
			fx.Kill(0, errCause)
		}
		fx.Send(0, text(verbEcho, "for nobody")) // must not reach the next life
		for fx.next(0).loss == nil {
		}
		fx.Start(0)
	}
	fx.Send(0, text(verbEcho, "alive"))
	if got := string(fx.frame(0).Stream); got != "ealive" {
		t.Errorf("the last life answered %q", got)
	}
}

func testEmptySlot(t *testing.T, h Harness) {
	fx := open(t, h, 2)
	fx.Send(0, text(verbEcho, "nobody"))
	fx.Kill(0, errCause)
	fx.Start(1)
	fx.Send(1, text(verbEcho, "somebody"))
	fx.frame(1)
}

func testClose(t *testing.T, h Harness) {
	fx := started(t, h, 3)
	fx.Send(0, text(verbEcho, "up"))
	fx.frame(0)
	for range 3 {
		fx.close()
	}
	for w := range 3 {
		if l := fx.loss(w); l.Err != nil {
			t.Errorf("slot %d: Err = %v, want nil for a worker that closed when it was told", w, l.Err)
		}
	}
	fx.Send(0, text(verbEcho, "too late"))
	fx.Kill(0, errCause)
	fx.Start(0)
	if l := fx.loss(0); !errors.Is(l.Err, link.ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", l.Err)
	}
}

func testCloseDelivers(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	release := fx.hold(0)
	const n = 100
	payload := pattern(64<<10, 1)
	for i := range uint64(n) {
		f := numbers(verbEcho, i)
		f.Segments = [][]byte{payload}
		fx.Send(0, f)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		fx.close()
	}()
	release()
	for i := range uint64(n) {
		if got := binary.LittleEndian.Uint64(fx.frame(0).Stream[1:]); got != i {
			t.Fatalf("frame %d arrived as number %d", got, i)
		}
	}
	if l := fx.loss(0); l.Err != nil {
		t.Errorf("Err = %v, want nil", l.Err)
	}
	<-closed
}

func testCloseBound(t *testing.T, h Harness) {
	fx := started(t, h, 2)
	fx.Send(1, text(verbEcho, "up"))
	fx.frame(1)
	release := fx.hold(0)
	fx.Send(1, command(verbClose))
	if l := fx.loss(1); l.Err != nil {
		t.Errorf("the other worker's Err = %v, want nil", l.Err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	fx.within("Close", func() {
		if err := fx.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v, want an error with the context's", err)
		}
	})
	if l := fx.loss(0); l.Err == nil {
		t.Error("a worker that did not end when told was lost without an error")
	}
	release()
}

func testOpenAfterClose(t *testing.T, h Harness) {
	g := h.New(1)
	for range 2 {
		if err := g.Close(context.Background()); err != nil {
			t.Errorf("Close before Open: %v", err)
		}
	}
	if _, err := g.Open(context.Background(), newRecorder(t, 1)); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Open after Close = %v, want ErrClosed", err)
	}
}

func testOpenWhileClosing(t *testing.T, h Harness) {
	for range 5 {
		g := h.New(1)
		opened := make(chan error)
		go func() {
			_, err := g.Open(context.Background(), newRecorder(t, 1))
			opened <- err
		}()
		if err := g.Close(context.Background()); err != nil {
			t.Errorf("Close while it opens: %v", err)
		}
		if err := <-opened; err != nil && !errors.Is(err, link.ErrClosed) {
			t.Errorf("Open: %v", err)
		}
		if err := g.Close(context.Background()); err != nil { // what came up after the first
			t.Errorf("Close after that: %v", err)
		}
	}
}

// within fails the test when f takes as long as something that blocks.
func (fx *fixture) within(what string, f func()) {
	fx.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		fx.t.Fatalf("%s blocked", what)
	}
}
