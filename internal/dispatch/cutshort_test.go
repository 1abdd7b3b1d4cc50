package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/rankpool/rankpool/internal/link"
)

// held is a group that closes when it is let.
type held struct {
	*played
	open chan struct{}
}

func (h held) Close(context.Context) error { <-h.open; return nil }

// A worker whose set-up ends early because the pool does has no reason of its own, and its answer may come before its end.
func TestASetUpThatTheEndCutsShortDoesNotBreakThePool(t *testing.T) {
	for _, leaves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := &played{table: table{workers: 2}, started: make(chan int, 2), seats: make([]tableSeat, 2), had: make([]bool, 2)}
			g := held{p, make(chan struct{})}
			p.m = New(Config{
				Group: g, Aside: func(f func()) { f() }, Log: slog.New(slog.DiscardHandler),
				DecodeSetupError: func(b []byte, _ int, _ Hello) error { return errors.New(string(b)) },
			})
			_ = p.m.Boot()
			for range 2 {
				p.greet(<-p.started)
			}
			p.ready(0)
			ended := make(chan error, 1)
			if leaves {
				go func() {
					_, err := p.m.Shutdown(t.Context(), true, false)
					ended <- err
				}()
				synctest.Wait()
			}
			p.m.Receive(1, link.Frame{Stream: append([]byte{kindReady}, "context canceled"...)})
			close(g.open)
			if leaves {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			p.m.mu.Lock()
			defer p.m.mu.Unlock()
			if broken := p.m.err != nil; broken == leaves {
				t.Errorf("the end has begun: %v; the pool is broken: %v", leaves, p.m.err)
			}
		})
	}
}
