package dispatch

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/goid"
)

// Home is what the workers of one pool have in common whose tasks are goroutines of the master's process: by it their tasks
// are known as the pool's own.
type Home struct {
	master atomic.Pointer[Master]

	mu      sync.Mutex
	servers map[*server]struct{}
}

// HomeOf returns the Home of the worker whose task's context ctx is, or was made of. It is nil when there is none.
func HomeOf(ctx context.Context) *Home {
	if s := serverOf(ctx); s != nil {
		return s.svc.Home
	}
	return nil
}

// Apart returns a context that does not lead to the task whose context ctx is: what waits with it is not the task.
func Apart(ctx context.Context) context.Context {
	if serverOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, serverKey{}, (*server)(nil))
}

// Inside tells whether it is called by a task of the pool, on the goroutine that the pool runs it on.
func (h *Home) Inside() bool {
	me := goid.Get()
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.servers {
		s.mu.Lock()
		mine := s.proto.running && s.runner == me
		s.mu.Unlock()
		if mine {
			return true
		}
	}
	return false
}

func (h *Home) add(s *server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.servers == nil {
		h.servers = map[*server]struct{}{}
	}
	h.servers[s] = struct{}{}
}

func (h *Home) remove(s *server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.servers, s)
}
