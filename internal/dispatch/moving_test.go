package dispatch_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// The worker answers nothing: what it is asked is behind the frame that it receives.
func TestAWorkerIsNotSilentWhileAFrameMovesAndIsWhenThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const liveness = 60 * time.Second
		p := newPool(t, 1, func(c *dispatch.Config, _ *dispatch.Service) { c.Liveness = liveness }, double)
		p.submit(0, 1).wait(t)
		never := make(chan struct{})
		synctest.Wait() // the worker receives: it would take in the next task if it came to that behind the hold
		p.group.HoldRecv(0, never)
		s := p.submit(0, 1)
		for range 100 {
			time.Sleep(liveness / 2)
			select {
			case <-s.done:
				t.Fatalf("lost while bytes moved: %v", s.errs[0])
			default:
			}
			p.bytes.Add(1)
		}
		stopped := time.Now()
		s.wait(t)
		if err := s.errs[0]; !errors.Is(err, dispatch.ErrBroken) || !strings.Contains(err.Error(), "silent for") {
			t.Error(err)
		}
		if took := time.Since(stopped); took < liveness || took > 2*liveness {
			t.Errorf("it was given up %v after the last byte", took)
		}
		close(never)
	})
}
