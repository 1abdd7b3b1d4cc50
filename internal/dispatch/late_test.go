package dispatch_test

import (
	"context"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// late is a group that opens when it is let, and whose end asks the scheduler something.
type late struct {
	*puppet
	opens, opening chan struct{}
	closed         chan struct{}
	ask            func()
}

func (l *late) Open(ctx context.Context, h link.Handler) (int, error) {
	close(l.opening)
	<-l.opens
	return l.puppet.Open(ctx, h)
}

func (l *late) Close(context.Context) error {
	l.ask()
	l.closed <- struct{}{}
	return nil
}

func TestAGroupThatOpensAfterTheEndIsClosedWithoutTheLock(t *testing.T) {
	g := &late{puppet: newPuppet(), opens: make(chan struct{}), opening: make(chan struct{}), closed: make(chan struct{}, 2)}
	m := dispatch.New(dispatch.Config{Group: g})
	g.ask = func() { m.Stats() }
	if err := m.Boot(); err != nil {
		t.Fatal(err)
	}
	await(t, g.opening, "opening")
	if _, err := m.Shutdown(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
	await(t, g.closed, "end of what was there at the shutdown")
	close(g.opens)
	await(t, g.closed, "end of what has opened since")
}
