package behaviour_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

const bubbleVariable = "BEHAVIOUR_BUBBLE"

// What belongs to the process and is made by its first user must not belong to the bubble that this one is in. So a program of
// its own uses the library in a bubble first, and then outside, and the other way round.
func TestTheFirstUseOfAProcessMayBeInABubbleOfSynctest(t *testing.T) {
	if os.Getenv(bubbleVariable) != "" {
		return
	}
	this := itself(t)
	each(t, func(t *testing.T, b backend) {
		for _, order := range []string{"in, out, in", "out, in, out"} {
			t.Run(order, func(t *testing.T) {
				c := exec.CommandContext(within(t), this, "-test.run=^TestInAndOutOfBubbles$", "-test.timeout="+limit.String())
				c.Env = append(os.Environ(), bubbleVariable+"="+order, backendVariable+"="+b.name,
					"RANKPOOL_TRACE="+filepath.Join(t.TempDir(), "recording"))
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}, inside)
}

// TestInAndOutOfBubbles is that program.
func TestInAndOutOfBubbles(t *testing.T) {
	order := os.Getenv(bubbleVariable)
	if order == "" {
		return
	}
	for i := range 3 {
		if (order[0] == 'i') == (i%2 == 0) {
			synctest.Test(t, useEverything)
		} else {
			useEverything(t)
		}
	}
}

// useEverything uses what the library has, with an executor of its own.
func useEverything(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	b := programBackend()
	err := b.with(ctx, func(ex futures.Executor) error {
		f, err := futures.Submit(ex, square, 3, futures.WithTaskTimeout(time.Hour))
		if err != nil {
			return err
		}
		called := make(chan struct{})
		f.AddDoneCallback(func(*futures.Future[int]) { close(called) })
		if y, err := f.Result(ctx); y != 9 || err != nil {
			t.Error(y, err)
		}
		<-called
		for y, err := range futures.Map(ctx, ex, square, upTo(100)) {
			if err != nil {
				return err
			}
			_ = y
		}
		if _, err := submit(t, ex, failOn, -1).Result(ctx); err == nil {
			t.Error("no error")
		}
		slow := submit(t, ex, wait, gate(""), futures.WithTaskTimeout(time.Hour))
		if _, _, err := futures.Wait(ctx, []*futures.Future[bool]{slow}, futures.AllCompleted); err != nil {
			t.Error(err)
		}
		for _, err := range futures.AsCompleted(ctx, []*futures.Future[int]{f, futures.Then(f, func(int) (int, error) { return 1, nil }, nil)}) {
			if err != nil {
				t.Error(err)
			}
		}
		if !b.shares {
			each, err := futures.SubmitEach(ex, pi, 100)
			if err != nil {
				return err
			}
			if _, err := each.Result(ctx); err != nil {
				t.Error(err)
			}
		}
		p := pool.On(ex)
		r, err := pool.MapAsync(ctx, p, square, upTo(10))
		if err != nil {
			return err
		}
		if _, err := r.Get(ctx); err != nil {
			t.Error(err)
		}
		never := new(futures.Future[int])
		if _, err := never.ResultWithin(time.Millisecond); !errors.Is(err, futures.ErrTimeout) {
			t.Error(err)
		}
		return p.Join(ctx)
	}, futures.WithMaxWorkers(2))
	if err != nil {
		t.Error(err)
	}
}
