package life_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/life"
)

// What hangs at the end, a log handler, a disk or a hook, must not use up what a launcher leaves after its signal. The times are those of the bubble's clock.
func TestTheEndWaitsAMomentForWhatHangsAndAfterASignalNoLongerThanTheGrace(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		signalled, grace time.Duration // when, after the wait has begun, or before it; negative grace: no signal
		want             time.Duration
	}{
		"no signal":                 {0, -1, time.Second},
		"a signal before":           {-1, 200 * ms, 200 * ms},
		"a signal before, long ago": {-1, 0, 100 * ms},
		"a long grace":              {-1, time.Minute, time.Second},
		"a signal during the wait":  {300 * ms, 200 * ms, 500 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				undo := func() {}
				defer func() { undo() }()
				if c.grace >= 0 && c.signalled < 0 {
					undo = life.Signal(c.grace)
				}
				begin := time.Now()
				ctx, release := life.LastWords(context.Background())
				defer release()
				if c.grace >= 0 && c.signalled >= 0 {
					time.Sleep(c.signalled)
					undo = life.Signal(c.grace)
				}
				<-ctx.Done()
				if took := time.Since(begin); took != c.want {
					t.Errorf("the wait took %v, not %v", took, c.want)
				}
				synctest.Wait()
			})
		})
	}
}
