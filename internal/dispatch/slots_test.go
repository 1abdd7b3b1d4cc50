package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
)

const silence = 10 * time.Second

// newRanks is a master with slots of ranks, which nothing ends or replaces: two in each.
func newRanks(t *testing.T, slots int) (*dispatch.Master, *loopback.Group) {
	svc := dispatch.Service{
		Function:    func(uint32) dispatch.Body { return function{double, true} },
		Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
	}
	g := loopback.New(loopback.Config{
		Slots: slots, Traits: &link.Traits{Kind: "ranks", Spread: true, Slots: 2},
		Serve: func(ep link.Endpoint) { _ = dispatch.Serve(ep, svc) },
	})
	m := dispatch.New(dispatch.Config{
		Group: g, Liveness: silence, Start: time.Hour,
		Name:             func(fn uint32) string { return fmt.Sprint("f", fn) },
		DecodeError:      func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if _, err := m.Shutdown(ctx, true, true); err != nil {
			t.Error(err)
		}
	})
	return m, g
}

// call runs one task and says why it failed.
func call(t *testing.T, m *dispatch.Master) error {
	t.Helper()
	j, s := job(0, 1)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	return s.errs[0]
}

// The task is lost alone; the other slot of that rank, which has none, is not given the next.
func TestASilentRankIsGivenUpWithAllItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newRanks(t, 6)
		if err := call(t, m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the workers receive
		moment := make(chan struct{})
		for w := range 6 {
			g.HoldRecv(w, moment)
		}
		if err := call(t, m); !errors.Is(err, dispatch.ErrBroken) || !strings.Contains(err.Error(), "silent for") {
			t.Error(err)
		}
		synctest.Wait()
		close(moment)
		if s := m.Stats(); s.Lost != 2 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
		for range 10 {
			if err := call(t, m); err != nil {
				t.Error(err)
			}
		}
	})
}
