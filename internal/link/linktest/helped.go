package linktest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// Helper is a group that goroutines which wait for a result can look after.
type Helper interface {
	link.Group
	Help(done func() bool)
}

// Helped returns a group that several goroutines help while it is open, now for long and now for a moment.
func Helped(g Helper) link.Group { return &helped{Helper: g} }

type helped struct {
	Helper
	starting sync.Mutex // a WaitGroup must not grow from zero while Close waits for it
	helpers  sync.WaitGroup
	over     atomic.Bool
}

func (h *helped) Open(ctx context.Context, handler link.Handler) (int, error) {
	n, err := h.Helper.Open(ctx, handler)
	h.starting.Lock()
	defer h.starting.Unlock()
	if h.over.Load() {
		return n, err
	}
	for i := range 3 {
		h.helpers.Go(func() {
			for turn := 0; !h.over.Load(); turn++ {
				until := time.Now().Add(time.Duration(turn%5*(1+i)) * 100 * time.Microsecond)
				h.Help(func() bool { return h.over.Load() || time.Now().After(until) })
				time.Sleep(time.Duration(turn%3) * 50 * time.Microsecond) // a break, not a wait
			}
		})
	}
	return n, err
}

func (h *helped) Close(ctx context.Context) error {
	err := h.Helper.Close(ctx)
	h.starting.Lock()
	h.over.Store(true)
	h.starting.Unlock()
	h.helpers.Wait()
	return err
}
