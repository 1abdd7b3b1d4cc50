package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// visit is the time in which this process serves another one and then goes on with its own work. What WithDir and WithEnv set is
// taken back at its end.
type visit struct {
	mu    sync.Mutex
	over  bool
	steps []func() error
}

// visitKey is the key of the *visit in the context of a set-up.
type visitKey struct{}

// service is processService for this time.
func (v *visit) service() dispatch.Service {
	s := processService()
	setup := s.Setup
	s.Setup = func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) {
		return setup(context.WithValue(ctx, visitKey{}, v), b, segments)
	}
	s.Slots = func() dispatch.Service { return slotsOf(s) }
	return s
}

// end takes back what was set. A set-up that still runs sets nothing more.
func (v *visit) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	for i := len(v.steps) - 1; i >= 0; i-- {
		if err := v.steps[i](); err != nil {
			fmt.Fprintln(os.Stderr, "rankpool: MPICommExecutor: what WithDir or WithEnv had set on this rank cannot be taken back:", err)
		}
	}
	v.steps = nil
}

var errVisitOver = errors.New("the executor is closed")

// place carries out WithDir and WithEnv in this process. In a set-up that is part of a visit it can be taken back.
func (s *setup) place(ctx context.Context) error {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil {
		v = new(visit) // for good
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return errVisitOver
	}
	if s.Dir != "" {
		before, unknown := os.Getwd()
		if err := os.Chdir(s.Dir); err != nil {
			return fmt.Errorf("WithDir: %w", err)
		}
		if unknown == nil {
			v.steps = append(v.steps, func() error { return os.Chdir(before) })
		}
	}
	for name, value := range s.Env {
		before, was := os.LookupEnv(name)
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("WithEnv: %s: %w", name, err)
		}
		v.steps = append(v.steps, func() error {
			if was {
				return os.Setenv(name, before)
			}
			return os.Unsetenv(name)
		})
	}
	return nil
}
