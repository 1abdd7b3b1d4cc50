package dispatch_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// waiting is a function that waits for a channel or for the end of its context, and tells when it begins.
type waiting struct {
	begun   chan uint64
	release chan struct{}
}

func newWaiting() *waiting {
	return &waiting{begun: make(chan uint64, 100), release: make(chan struct{})}
}

func (w *waiting) call(ctx context.Context, x uint64) (uint64, error) {
	w.begun <- x
	select {
	case <-w.release:
		return x, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Thousands of workers that are goroutines run thousands of tasks at the same time: none of them needs a second goroutine, or a timer, for
// something that may come.
func TestAWorkerThatIsAGoroutineHasNoOtherWhileItsTaskRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 10
		f := newWaiting()
		p := newPool(t, workers, nil, f.call)
		var jobs []*dispatch.Job
		var sinks []*sink
		for x := range uint64(workers) {
			j, s := job(0, x)
			jobs, sinks = append(jobs, j), append(sinks, s)
			if err := p.Submit(j); err != nil {
				t.Fatal(err)
			}
		}
		for range workers {
			<-f.begun
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := runtime.NumGoroutine(); n != before {
			t.Errorf("%d goroutines after a second, and %d before", n, before)
		}
		for _, i := range []int{3, 7} { // what comes is heard all the same
			if !p.InterruptJob(jobs[i]) {
				t.Errorf("task %d does not run", i)
			}
			sinks[i].wait(t)
			if sinks[i].errs[0] == nil {
				t.Errorf("task %d has no error after its context has ended", i)
			}
		}
		close(f.release)
		for i, s := range sinks {
			if s.wait(t); i != 3 && i != 7 && s.errs[0] != nil {
				t.Errorf("task %d: %v", i, s.errs[0])
			}
		}
	})
}

func TestATaskOnAGoroutineHearsThatItsWorkerWasCutOff(t *testing.T) {
	f := newWaiting()
	over := make(chan error, 1)
	p := newPool(t, 2, nil, func(ctx context.Context, x uint64) (uint64, error) {
		y, err := f.call(ctx, x)
		over <- err
		return y, err
	})
	s := p.submit(0, 1)
	<-f.begun
	p.group.Kill(0, errors.New("cut off"))
	select {
	case err := <-over:
		if err == nil {
			t.Error("its context has not ended")
		}
	case <-time.After(limit):
		t.Fatal("its context does not end")
	}
	s.wait(t)
}

// What a chunk has failed with is told while it runs on, as it is where workers are processes.
func TestAFailureInAChunkThatRunsOnIsToldWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newWaiting()
		p := newPool(t, 1, nil, func(ctx context.Context, x uint64) (uint64, error) {
			if x == 0 {
				return 0, errors.New("zero")
			}
			return f.call(ctx, x)
		})
		s := newSink(1)
		j := &dispatch.Job{Func: 0, Units: 1, Sink: s, Data: []byte{2, 0, 1}}
		j.More = &dispatch.More{Chunk: 2, Elements: 2}
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		<-f.begun
		time.Sleep(time.Second)
		synctest.Wait()
		s.mu.Lock()
		err := s.errs[0]
		s.mu.Unlock()
		if err == nil {
			t.Error("the second element runs, and nobody has heard of the failure of the first")
		}
		close(f.release)
		s.wait(t)
	})
}
