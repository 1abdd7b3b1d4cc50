package futures_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// beside is what a task may wait for that has lent its slot while a gang waits.
type beside struct {
	ex   *futures.ThreadPoolExecutor
	gang *futures.Future[[]int]
	one  futures.Func[int, int] // a short task
}

var besides = map[string]struct {
	wait func(ctx context.Context, b beside) error
	open bool // the pool cannot know which of its tasks brings it
}{
	"the gang": {wait: func(ctx context.Context, b beside) error {
		_, err := b.gang.Result(ctx)
		return err
	}},
	"a task behind the gang": {wait: func(ctx context.Context, b beside) error {
		f, err := futures.Submit(b.ex, b.one, 1)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	}},
	"both": {wait: func(ctx context.Context, b beside) error {
		f, err := futures.Submit(b.ex, b.one, 1)
		if err != nil {
			return err
		}
		for _, err := range futures.AsCompleted(ctx, []futures.Awaitable{b.gang, f}) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	"a map behind the gang": {open: true, wait: func(ctx context.Context, b beside) error {
		for _, err := range futures.Map(ctx, b.ex, b.one, make([]int, 100)) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	"a chain whose second task is queued late": {open: true, wait: func(ctx context.Context, b beside) error {
		f, err := futures.Submit(b.ex, b.one, 1)
		if err != nil {
			return err
		}
		_, err = futures.ThenChain(f, func(x int) (*futures.Future[int], error) { return futures.Submit(b.ex, b.one, x) }, nil).Result(ctx)
		return err
	}},
	"what a task behind the gang completes": {open: true, wait: func(ctx context.Context, b beside) error {
		promise := futures.NewPromise[int]()
		keep := futures.Local(func(_ context.Context, x int) (int, error) { return x, promise.SetResult(x) })
		if _, err := futures.Submit(b.ex, keep, 1); err != nil {
			return err
		}
		_, err := promise.Future().Result(ctx)
		return err
	}},
}

// Of the stream each task submits the next, so that there is always one behind the gang.
func TestAGangBeginsAlthoughASlotIsLentAndAStreamOfTasksFollowsIt(t *testing.T) {
	const at, last = 50, 300_000 // where in the stream the gang is, and where it ends if the gang does not begin
	for name, b := range besides {
		for _, workers := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				ex := goroutines(t, workers)
				var begun, before atomic.Int64 // tasks of the stream: all, and those that had begun when the gang did
				member := futures.Local(func(context.Context, int) (int, error) {
					before.CompareAndSwap(0, begun.Load())
					return 1, nil
				})
				queued, gang := make(chan struct{}), futures.NewPromise[*futures.Future[[]int]]()
				over := make(chan struct{})
				var stream futures.Func[int, int]
				stream = futures.Local(func(_ context.Context, n int) (int, error) {
					begun.Add(1)
					if n == at {
						f, err := futures.SubmitEach(ex, member, 0)
						if err != nil {
							return 0, err
						}
						if err := gang.SetResult(f); err != nil {
							return 0, err
						}
						close(queued)
					}
					if before.Load() > 0 || n == last {
						close(over)
						return 0, nil
					}
					_, err := futures.Submit(ex, stream, n+1)
					return 0, err
				})
				lender := futures.Local(func(ctx context.Context, _ int) (int, error) {
					if _, err := futures.Submit(ex, stream, 1); err != nil {
						return 0, err
					}
					if workers > 1 { // else the stream needs this slot
						<-queued
					}
					f, err := gang.Future().Result(ctx)
					if err != nil {
						return 0, err
					}
					return 1, b.wait(ctx, beside{ex, f, futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })})
				})
				if got := result(t, ex, lender, 0); got != 1 {
					t.Errorf("got %d", got)
				}
				select {
				case <-over:
				case <-bounded(t).Done():
					t.Fatal("the stream did not come to its end")
				}
				switch got := before.Load(); {
				case got == 0 || got >= last:
					t.Errorf("the gang, which task %d had submitted, had not begun when task %d ran", at, begun.Load())
				case workers > 1 && !b.open && got > at:
					t.Errorf("%d tasks of the stream began before the gang, which task %d had submitted", got, at)
				}
			})
		}
	}
}

// The task that holds a slot waits for the one that has lent its own in a way that the pool does not see. So the gang cannot begin
// before what follows it has run.
func TestWhatATaskWaitsForPassesAGangThatCannotBegin(t *testing.T) {
	for name, b := range besides {
		if name == "the gang" || name == "both" { // which cannot begin before the wait is over
			continue
		}
		t.Run(name, func(t *testing.T) {
			ex := goroutines(t, 2)
			one := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
			holds, over := make(chan struct{}), make(chan struct{})
			holder := futures.Local(func(context.Context, int) (int, error) {
				close(holds)
				<-over
				return 1, nil
			})
			lender := futures.Local(func(ctx context.Context, _ int) (int, error) {
				defer close(over)
				<-holds
				f, err := futures.SubmitEach(ex, one, 1)
				if err != nil {
					return 0, err
				}
				return 1, b.wait(ctx, beside{ex, f, one})
			})
			h, err := futures.Submit(ex, holder, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := result(t, ex, lender, 0); got != 1 {
				t.Error(got)
			}
			if _, err := h.Result(bounded(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Nothing else is queued, so nothing else happens when the slot is lent.
func TestATaskWaitsForAGangThatIsAloneInTheQueue(t *testing.T) {
	for name, opts := range map[string][]futures.EachOption{"of all": nil, "of one": {futures.OnWorkers(1)}} {
		t.Run(name, func(t *testing.T) {
			ex := goroutines(t, 1)
			one := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
			lender := futures.Local(func(ctx context.Context, x int) (int, error) {
				f, err := futures.SubmitEach(ex, one, x, opts...)
				if err != nil {
					return 0, err
				}
				all, err := f.Result(ctx)
				return len(all), err
			})
			if got := result(t, ex, lender, 0); got != 1 {
				t.Error(got)
			}
		})
	}
}
