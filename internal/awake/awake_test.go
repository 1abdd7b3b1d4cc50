package awake_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
)

func TestAFunctionIsCalledOnceItsTimeIsOver(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond, 15 * time.Millisecond, time.Second, 30 * time.Second, 100 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			begin, over := time.Now(), make(chan time.Time, 2)
			awake.AfterFunc(d, func() { over <- time.Now() })
			if took := (<-over).Sub(begin); took != max(d, 0) {
				t.Errorf("%v: called after %v", d, took)
			}
			time.Sleep(200 * time.Hour)
			if len(over) > 0 {
				t.Errorf("%v: called twice", d)
			}
		})
	}
}

func TestAStoppedTimerCallsNothing(t *testing.T) {
	for _, d := range []time.Duration{time.Millisecond, time.Second, math.MaxInt64} {
		synctest.Test(t, func(t *testing.T) {
			timer := awake.AfterFunc(d, func() { t.Errorf("%v: called", d) })
			time.Sleep(d / 2)
			timer.Stop()
			timer.Stop()
			time.Sleep(time.Hour)
		})
	}
}

func TestATimeAfterADeadlineBeginsWithThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, over := time.Now(), make(chan time.Time, 1)
		awake.Then(time.Minute, time.Second, func() { over <- time.Now() })
		if took := (<-over).Sub(begin); took != time.Minute+time.Second {
			t.Errorf("called after %v", took)
		}
		awake.Then(math.MaxInt64, time.Second, func() { t.Error("called") }).Stop()
		awake.Then(time.Second, math.MaxInt64, func() { t.Error("called") }).Stop()
	})
}

func TestAContextEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := awake.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		<-ctx.Done()
		if took := time.Since(begin); took != time.Minute || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, context.Cause(ctx))
		}
		ctx, cancel = awake.WithTimeout(t.Context(), time.Minute)
		cancel()
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		child, end := context.WithCancel(ctx)
		defer end()
		if <-child.Done(); !errors.Is(context.Cause(child), context.Canceled) {
			t.Error(context.Cause(child))
		}
	})
}
