package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// reports counts records at level warn and above, and what they stand for.
type reports struct {
	mu      *sync.Mutex
	records map[string]int
	events  map[string]int
}

func (c reports) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (c reports) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c reports) WithGroup(string) slog.Handler                { return c }
func (c reports) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 1
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "count" {
			n = int(a.Value.Int64())
		}
		return true
	})
	c.records[r.Message]++
	c.events[r.Message] += n
	return nil
}

func newReports() reports { return reports{new(sync.Mutex), map[string]int{}, map[string]int{}} }

const (
	wasLost     = "rankpool: worker was lost"
	wasReplaced = "rankpool: worker was replaced"
)

func TestHundredsOfLossesAtOnceAreALineAndACount(t *testing.T) {
	for name, wait := range map[string]time.Duration{"the end of the second": 2 * time.Second, "the end of the pool": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slots = 300
				c := newReports()
				p := newPool(t, slots, func(cfg *dispatch.Config, _ *dispatch.Service) { cfg.Log = slog.New(c) }, double)
				if err := p.Boot(); err != nil {
					t.Fatal(err)
				}
				<-p.Booted()
				for i := range slots {
					p.group.Kill(i, errors.New("told to"))
				}
				time.Sleep(wait)
				synctest.Wait()
				p.close()
				two := map[string]int{wasLost: 2, wasReplaced: 2}
				if d := cmp.Diff(two, c.records); d != "" {
					t.Errorf("records (-want +got):\n%s", d)
				}
				all := map[string]int{wasLost: slots, wasReplaced: slots}
				if d := cmp.Diff(all, c.events); d != "" {
					t.Errorf("what they stand for (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestALossThatBreaksThePoolIsNotReportedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newReports()
		p := newPool(t, 1, func(cfg *dispatch.Config, svc *dispatch.Service) {
			cfg.Log = slog.New(c)
			svc.Setup = func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) {
				<-ctx.Done()
				return -1, ctx, ctx.Err()
			}
		}, double)
		s := p.submit(0, 1)
		synctest.Wait()
		p.group.Kill(0, errors.New("told to"))
		s.wait(t)
		p.close()
		if d := cmp.Diff(map[string]int{"rankpool: the pool is broken": 1}, c.records); d != "" {
			t.Errorf("records (-want +got):\n%s", d)
		}
	})
}
