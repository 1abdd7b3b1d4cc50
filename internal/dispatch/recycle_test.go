package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

func TestAWorkerIsReplacedAfterItsTasksAndNothingIsLost(t *testing.T) {
	for _, most := range []int{1, 3, 500} {
		const n = 1000
		p := newPool(t, 2, func(c *dispatch.Config, _ *dispatch.Service) { c.MaxTasks = most }, double)
		args := make([]uint64, n)
		for i := range args {
			args[i] = uint64(i)
		}
		j, s := job(0, args...)
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
		for i := range args {
			if len(s.got[i]) != 1 || s.got[i][0] != 2*args[i] || s.claims[i] != 1 {
				t.Fatalf("at most %d: unit %d: %v, %v, claimed %d times", most, i, s.got[i], s.errs[i], s.claims[i])
			}
		}
		p.close()
		if st := p.Stats(); st.Lost > 0 || st.Done != n || int(st.Restarts) < n/most-2 {
			t.Errorf("at most %d: %+v", most, st)
		}
	}
}

func TestNoWorkerRunsMoreTasksThanItMay(t *testing.T) {
	const most = 7
	var workers, worst atomic.Int64
	type tally struct{ atomic.Int64 }
	p := newPool(t, 1, func(c *dispatch.Config, svc *dispatch.Service) {
		c.MaxTasks = most
		svc.Setup = func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) {
			workers.Add(1)
			return -1, context.WithValue(ctx, tally{}, new(tally)), nil
		}
	}, func(ctx context.Context, x uint64) (uint64, error) {
		if n := ctx.Value(tally{}).(*tally).Add(1); n > worst.Load() {
			worst.Store(n)
		}
		return x, nil
	})
	for i := range 10 * most { // one by one, so that batches end where they may
		p.submit(0, uint64(i)).wait(t)
	}
	if worst.Load() != most || workers.Load() < 10 {
		t.Errorf("a worker ran %d tasks, of %d; there were %d workers", worst.Load(), most, workers.Load())
	}
}

func TestAWorkerThatDoesNotLeaveAfterItsTasksIsEnded(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p, MaxTasks: 1, Stop: time.Millisecond})
	j, s := job(0, 1, 2)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	p.hears(t, 't')
	p.say([]byte{'R', 1, 1 << 2, 2})
	p.hears(t, 'q')
	var cause error
	select {
	case cause = <-p.killed:
	case <-time.After(limit):
		t.Fatal("it was not ended")
	}
	p.handler.Lost(0, link.Loss{Err: cause})
	p.greet(0, "")
	p.hears(t, 't')
	p.say([]byte{'R', 1, 1 << 2, 4})
	s.wait(t)
	if _, err := m.Shutdown(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	await(t, m.Closed(), "end of the master")
}
