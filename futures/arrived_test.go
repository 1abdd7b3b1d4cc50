package futures_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// slowRead is a value whose decoding waits as long as there is a gate.
type slowRead struct{ n byte }

// gateOfReading says that a decoder has come, and lets it go on.
type gateOfReading struct{ come, open chan struct{} }

var slowGate atomic.Pointer[gateOfReading]

func (s slowRead) MarshalBinary() ([]byte, error) { return []byte{s.n}, nil }

func (s *slowRead) UnmarshalBinary(b []byte) error {
	if g := slowGate.Load(); g != nil {
		g.come <- struct{}{}
		<-g.open
	}
	s.n = b[0]
	return nil
}

var (
	makeSlow = futures.Register("arrived.make", func(x int) (slowRead, error) { return slowRead{byte(x)}, nil })
	readSlow = futures.Register("arrived.read", func(s slowRead) (int, error) { return int(s.n), nil })
)

// feeding returns the future of a call that has fed another one, and whose result nobody has asked for.
func feeding(t *testing.T) *futures.Future[slowRead] {
	t.Helper()
	t.Setenv("RANKPOOL_BACKEND", "threads")
	ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	})
	p := futures.NewPromise[int]()
	input, err := futures.SubmitAfter(ex, makeSlow, p.Future())
	if err != nil {
		t.Fatal(err)
	}
	f, err := futures.SubmitAfter(ex, readSlow, input)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetResult(7); err != nil {
		t.Fatal(err)
	}
	if v, err := f.ResultWithin(testkit.Limit); v != 7 || err != nil {
		t.Fatal(v, err)
	}
	return input
}

func TestAResultThatIsBeingDecodedIsWaitedForNoLongerThanAsked(t *testing.T) {
	input := feeding(t)
	gate := &gateOfReading{make(chan struct{}, 2), make(chan struct{})}
	slowGate.Store(gate)
	defer slowGate.Store(nil)
	called := make(chan struct{})
	input.AddDoneCallback(func(*futures.Future[slowRead]) { close(called) })
	if err := input.WaitCallbacks(testkit.Within(t)); err != nil || !input.Done() {
		t.Errorf("nobody has asked for the result, and its callbacks have to wait for that: %v", err)
	}
	<-called
	ctx, cancel := context.WithCancelCause(t.Context())
	waited := make(chan error)
	go func() { _, err := input.Result(ctx); waited <- err }()
	<-gate.come
	if _, err := input.ResultWithin(1); !errors.Is(err, futures.ErrTimeout) {
		t.Error(err)
	}
	cause := errors.New("enough")
	cancel(cause)
	if err := <-waited; !errors.Is(err, cause) {
		t.Error(err)
	}
	close(gate.open)
	if v, err := input.Result(ctx); v.n != 7 || err != nil { // what is done answers
		t.Error(v, err)
	}
	if len(gate.come) > 0 {
		t.Error("it is decoded twice")
	}
}

// A decoder that hangs holds up neither a Wait beyond its context nor a progress.
func TestWaitAndProgressDoNotHangWithADecoder(t *testing.T) {
	input := feeding(t)
	gate := &gateOfReading{make(chan struct{}, 2), make(chan struct{})}
	slowGate.Store(gate)
	defer slowGate.Store(nil)
	fs := []*futures.Future[slowRead]{input}
	futures.ShowProgress(io.Discard, "decoded", fs)()
	if len(gate.come) > 0 {
		t.Error("a progress has the result decoded")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	done, notDone, err := futures.Wait(over, append(fs, futures.NewFuture[slowRead]()), futures.FirstException)
	if len(done) != 1 || len(notDone) != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d done, %d not, %v", len(done), len(notDone), err)
	}
	close(gate.open)
	if v, err := input.Result(t.Context()); v.n != 7 || err != nil {
		t.Error(v, err)
	}
}
