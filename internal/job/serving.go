package job

import (
	"context"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// Serving returns what runs the workers of a rank: dispatch.Serve, with a set-up that may call Redirect, which holds until the end. Workers that
// are slots of the rank are set up together. They run tasks at the same time, and beside the turn that other workers take, as what they
// run is made for that.
func Serving(svc dispatch.Service) func(link.Endpoint) error {
	r := &roster{svc: svc, crews: map[any]*crew{}}
	return func(ep link.Endpoint) error {
		own := svc
		if of, n := siblings(ep); n > 1 {
			c := r.join(of)
			defer r.leave(of, c)
			own = c.svc
		} else {
			var out redirection
			defer out.end()
			own.Setup = out.during(own.Setup)
		}
		return dispatch.Serve(ep, own)
	}
}

func siblings(ep link.Endpoint) (of any, n int) {
	if s, ok := ep.(link.Sibling); ok {
		return s.Siblings()
	}
	return nil, 1
}

// roster is the crews of a rank.
type roster struct {
	svc dispatch.Service

	mu    sync.Mutex
	crews map[any]*crew // by what their workers have in common
}

// crew is the workers of one group that are slots of this rank.
type crew struct {
	svc     dispatch.Service
	workers int // guarded by the roster's lock
	out     redirection
}

// join returns the crew of another worker, which the first makes.
func (r *roster) join(of any) *crew {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.crews[of]
	if c == nil {
		c = &crew{svc: r.svc.Slots()}
		c.svc.Hello.Rank = r.svc.Hello.Rank
		c.svc.Setup = c.out.during(c.svc.Setup)
		r.crews[of] = c
	}
	c.workers++
	return c
}

func (r *roster) leave(of any, c *crew) {
	r.mu.Lock()
	c.workers--
	last := c.workers == 0
	if last {
		delete(r.crews, of)
	}
	r.mu.Unlock()
	if last {
		c.out.end()
	}
}

// during has Redirect know r in the contexts of a set-up.
func (r *redirection) during(setup setupFunc) setupFunc {
	return func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) {
		return setup(context.WithValue(ctx, redirectionKey{}, r), b, segments)
	}
}

type setupFunc = func(ctx context.Context, b []byte, segments [][]byte) (threshold int, tasks context.Context, err error)
