package behaviour_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
	"github.com/rankpool/rankpool/threadpool"
)

// Both forms of the body, for both kinds of pool.
var poolWiths = map[string]func(context.Context, func(context.Context, *pool.Pool) error, ...pool.Option) error{
	"threads": func(ctx context.Context, body func(context.Context, *pool.Pool) error, opts ...pool.Option) error {
		return threadpool.With(ctx, body, opts...)
	},
	"threads, closure": func(ctx context.Context, body func(context.Context, *pool.Pool) error, opts ...pool.Option) error {
		return threadpool.With(ctx, func(p *pool.Pool) error { return body(ctx, p) }, opts...)
	},
	"processes": func(ctx context.Context, body func(context.Context, *pool.Pool) error, opts ...pool.Option) error {
		return pool.With(ctx, body, opts...)
	},
	"processes, closure": func(ctx context.Context, body func(context.Context, *pool.Pool) error, opts ...pool.Option) error {
		return pool.With(ctx, func(p *pool.Pool) error { return body(ctx, p) }, opts...)
	},
}

func TestWithOfAPoolJoinsItWhenItsFunctionReturnsNil(t *testing.T) {
	for name, with := range poolWiths {
		called := 0
		err := with(within(t), func(ctx context.Context, p *pool.Pool) error {
			for x := range 10 {
				r, err := pool.ApplyAsync(p, square, x)
				if err != nil {
					return err
				}
				r.Callback(func(int) { called++ })
			}
			r, err := pool.MapAsync(ctx, p, square, []int{1, 2, 3})
			if err == nil {
				r.Callback(func([]int) { called++ })
			}
			return err
		}, pool.WithProcesses(2))
		if err != nil || called != 11 {
			t.Errorf("%s: %d callbacks, %v", name, called, err)
		}
	}
}

func TestWithOfAPoolDoesNotWaitWhenItsFunctionFails(t *testing.T) {
	if !alone(backends[0]) {
		t.Skipf("needs 1 worker, and there are %d", backends[0].workers)
	}
	failed := errors.New("the licence has expired")
	for name, with := range poolWiths {
		var queued *pool.ApplyResult[int]
		g := newGate(t)
		err := with(within(t), func(_ context.Context, p *pool.Pool) (err error) {
			runs, err := pool.ApplyAsync(p, wait, g)
			if err != nil {
				return err
			}
			eventually(t, "the task runs", func() bool { return p.Executor().Stats().Running == 1 })
			if queued, err = pool.ApplyAsync(p, square, 1); err != nil {
				return err
			}
			t.Cleanup(func() { // a shutdown may be repeated
				if err := p.Executor().Shutdown(context.Background(), futures.InterruptTasks()); err != nil || !runs.Ready() {
					t.Errorf("%s: %v", name, err)
				}
			})
			return failed
		}, pool.WithProcesses(1))
		if err != failed {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := queued.Get(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("%s: what was queued: %v", name, err)
		}
	}
}

func TestWithOfAPoolNeedsAFunction(t *testing.T) {
	var none func(*pool.Pool) error
	var declared func(context.Context, *pool.Pool) error
	for _, err := range []error{
		pool.With(within(t), none), pool.With(within(t), declared), threadpool.With(within(t), none), threadpool.With(within(t), declared),
	} {
		if err == nil || !strings.HasSuffix(err.Error(), "With: the function is nil") {
			t.Error(err)
		}
	}
}
