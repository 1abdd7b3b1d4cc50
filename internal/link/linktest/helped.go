package linktest

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// helper is a group that goroutines which wait for a result can look after.
type helper interface {
	link.Group
	link.Helper
}

// helped is a group that several goroutines help while it is open, now for long and now for a moment.
type helped struct {
	helper
	starting sync.Mutex // a WaitGroup must not grow from zero while Close waits for it
	helpers  sync.WaitGroup
	over     atomic.Bool
}

func (h *helped) Open(ctx context.Context, handler link.Handler) (int, error) {
	n, err := h.helper.Open(ctx, handler)
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
	err := h.helper.Close(ctx)
	h.starting.Lock()
	h.over.Store(true)
	h.starting.Unlock()
	h.helpers.Wait()
	return err
}

// helpTests are the promises of Help itself.
var helpTests = []test{
	{"every frame arrives while a goroutine helps", testHelpDelivers},
	{"help returns at once when all is done", testHelpDone},
	{"help returns while no frame comes", testHelpEnds},
	{"help returns before open and after close", testHelpClosed},
}

// count is a handler that counts frames.
type count struct{ frames atomic.Int64 }

func (c *count) Receive(_ int, f link.Frame) {
	link.PutBuffer(f.Stream)
	c.frames.Add(1)
}

func (c *count) Lost(int, link.Loss) {}

// counted opens a group of one worker whose frames are counted.
func counted(t *testing.T, h Harness) (helper, *count) {
	t.Helper()
	g, c := h.New(1).(helper), new(count)
	if _, err := g.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	g.Start(0)
	return g, c
}

func testHelpDelivers(t *testing.T, h Harness) {
	g, c := counted(t, h)
	end := time.Now().Add(patience)
	for n := int64(1); n <= 500; n++ {
		g.Send(0, command(verbEcho))
		there := func() bool { return c.frames.Load() >= n }
		for !there() {
			if g.Help(there); time.Now().After(end) {
				t.Fatalf("%d of %d frames", c.frames.Load(), n)
			}
			runtime.Gosched()
		}
	}
}

func testHelpDone(t *testing.T, h Harness) {
	g, _ := counted(t, h)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for range 100 {
			g.Help(func() bool { return true })
		}
	}()
	select {
	case <-returned:
	case <-time.After(patience):
		t.Fatal("Help goes on although all is done")
	}
}

// The goroutine that helps may have a context that ends meanwhile. A group that keeps it until a frame comes would hold it beyond that.
func testHelpEnds(t *testing.T, h Harness) {
	g, c := counted(t, h)
	g.Send(0, command(verbEcho)) // the worker is up
	for end := time.Now().Add(patience); c.frames.Load() == 0; runtime.Gosched() {
		if g.Help(func() bool { return c.frames.Load() > 0 }); time.Now().After(end) {
			t.Fatal("no frame came")
		}
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		g.Help(func() bool { return false })
	}()
	select {
	case <-returned:
	case <-time.After(patience):
		t.Fatal("Help does not end while nothing comes")
	}
}

func testHelpClosed(t *testing.T, h Harness) {
	g := h.New(1).(helper)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		g.Help(func() bool { return false })
		if err := g.Close(context.Background()); err != nil {
			t.Errorf("Close before Open: %v", err)
		}
		g.Help(func() bool { return false })
	}()
	select {
	case <-returned:
	case <-time.After(patience):
		t.Fatal("Help goes on in a group that is not open")
	}
}
