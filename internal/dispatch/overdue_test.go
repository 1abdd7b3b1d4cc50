package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

func TestATaskThatIgnoredItsTimeoutIsNotRetried(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p})
	j, s := job(0, 1)
	j.More = &dispatch.More{Timeout: time.Second, Retries: 5}
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	<-p.sent
	p.say([]byte{'o', 1})
	p.handler.Lost(0, link.Loss{Err: <-p.killed, Proof: true, Picked: 1})
	s.wait(t)
	if !errors.Is(s.errs[0], context.DeadlineExceeded) {
		t.Error(s.errs[0])
	}
	p.greet(0, "")
	if _, err := m.Shutdown(t.Context(), true, false); err != nil {
		t.Error(err)
	}
}
