package futures_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// stuckHandler is a log handler that does not return.
type stuckHandler struct{ until chan struct{} }

func (h stuckHandler) Enabled(context.Context, slog.Level) bool  { <-h.until; return true }
func (h stuckHandler) Handle(context.Context, slog.Record) error { <-h.until; return nil }
func (h stuckHandler) WithAttrs([]slog.Attr) slog.Handler        { <-h.until; return h }
func (h stuckHandler) WithGroup(string) slog.Handler             { <-h.until; return h }

func TestShutdownWaitsOneSecondInAllForLogHandlersThatDoNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := stuckHandler{make(chan struct{})}
		defer close(h.until)
		futures.SetLogger(slog.New(h))
		defer futures.SetLogger(nil)
		ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1), futures.WithLogger(slog.New(h)))
		if err != nil {
			t.Fatal(err)
		}
		if err := ex.Bootup(t.Context()); err != nil {
			t.Fatal(err)
		}
		ex.Log("text")
		futures.Complain("text")
		begin := time.Now()
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Close took %v, not one second", took)
		}
	})
}
