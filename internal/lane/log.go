package lane

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// mostRecords is how many records wait for a handler at most. Further ones are left out.
const mostRecords = 4096

// Logger hands records to a slog.Handler on a lane, so that a handler may take any time and call anything: it delays the records
// behind it and nothing else. The handler is asked whether it wants a record there too.
type Logger struct {
	*slog.Logger
	lane *Lane
}

// NewLogger returns a Logger over h. Nil means slog's default, whichever that is when a record is handed on.
func NewLogger(h slog.Handler) Logger {
	l := &Lane{Panicked: func(any) {}} // of a handler: there is nobody to tell
	return Logger{slog.New(&handler{lane: l, get: func() slog.Handler {
		if h == nil {
			return slog.Default().Handler()
		}
		return h
	}}), l}
}

// Flush waits until what was logged before has been handed on, for so long at most. A handler that does not return is not waited
// for longer.
func (l Logger) Flush(limit time.Duration) {
	if l.lane == nil || l.lane.Len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_ = l.lane.Drain(ctx)
}

// handler is a slog.Handler that only queues.
type handler struct {
	lane *Lane
	get  func() slog.Handler // called on the lane
}

// Enabled says yes: the real handler is asked on the lane.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle queues the record.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	if h.lane.Len() >= mostRecords {
		return fmt.Errorf("lane: %d records wait for the log handler; this one is left out", mostRecords)
	}
	r = r.Clone()
	h.lane.Add(func() {
		ctx := context.Background() // a caller's may hold values that live no longer
		if to := h.get(); to.Enabled(ctx, r.Level) {
			_ = to.Handle(ctx, r)
		}
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.lane, func() slog.Handler { return h.get().WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.lane, func() slog.Handler { return h.get().WithGroup(name) }}
}
