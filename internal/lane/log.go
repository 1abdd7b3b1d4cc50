package lane

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// mostRecords is how many records wait for a handler at most. Further ones are left out, and counted.
const mostRecords = 4096

// Logger hands records to a slog.Handler on a lane, so that a handler may take any time and call anything: it delays the records
// behind it and nothing else. The handler is asked there too which levels it wants.
type Logger struct {
	*slog.Logger
	root *handler
}

// NewLogger returns a Logger over h.
func NewLogger(h slog.Handler) Logger {
	root := &handler{
		log: &log{lane: Lane{Panicked: func(any) {}}}, // of a handler: there is nobody to tell
		get: func() slog.Handler { return h },
	}
	root.log.root = root
	return Logger{slog.New(root), root}
}

// Flush waits until what was logged before has been handed on, or ctx ends.
func (l Logger) Flush(ctx context.Context) { Flush(ctx, l) }

// Flush flushes several loggers, by the end of ctx.
func Flush(ctx context.Context, loggers ...Logger) {
	for _, l := range loggers {
		if l.root != nil {
			l.root.log.confess()
		}
	}
	for _, l := range loggers {
		if l.root != nil && l.root.log.lane.Len() > 0 {
			_ = l.root.log.lane.Drain(ctx)
		}
	}
}

// log is what a handler and those that are made of it have in common.
type log struct {
	lane Lane
	root *handler

	mu   sync.Mutex
	lost int        // records that were left out since the last that was not
	top  slog.Level // the highest of their levels
}

// add queues a record for a handler, and in front of it a word about those that were left out.
func (l *log) add(h *handler, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lane.Len() >= mostRecords {
		if l.lost++; l.lost == 1 || r.Level > l.top {
			l.top = r.Level
		}
		return fmt.Errorf("lane: %d records wait for the log handler; this one is left out", mostRecords)
	}
	l.confessLocked()
	l.lane.Add(func() { h.handOn(r) })
	return nil
}

// confess queues a word about records that were left out, if there are any.
func (l *log) confess() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confessLocked()
}

func (l *log) confessLocked() {
	if l.lost == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), l.top, "rankpool: log records were lost, because their handler is too slow", 0)
	r.AddAttrs(slog.Int("lost", l.lost))
	l.lost = 0
	l.lane.Add(func() { l.root.handOn(r) })
}

// handler is a slog.Handler that only queues.
type handler struct {
	log *log
	get func() slog.Handler // called on the lane

	mu    sync.Mutex
	wants map[slog.Level]answer
}

// answer is what the real handler has said of a level.
type answer struct {
	no    bool
	asked time.Time
}

// askAgain is how old an answer may be. A handler may change its mind (slog.LevelVar).
const askAgain = time.Second

// Enabled says no when the real handler has said so. It is not asked here: it may take any time. While its answer is not known, or
// too old, the record is queued, which asks.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.wants[level]
	switch {
	case !a.no:
		return true
	case time.Since(a.asked) < askAgain:
		return false
	}
	h.wants[level] = answer{no: true, asked: time.Now()} // one record asks, and not all that come before it is handed on
	return true
}

// Handle queues the record.
func (h *handler) Handle(_ context.Context, r slog.Record) error { return h.log.add(h, r.Clone()) }

// handOn gives a record to the real handler, on the lane. Before it may take its time it is asked about the other levels too.
func (h *handler) handOn(r slog.Record) {
	ctx := context.Background() // a caller's may hold values that live no longer
	to := h.get()
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if level != r.Level && h.age(level) >= askAgain {
			h.answer(level, to.Enabled(ctx, level))
		}
	}
	wanted := to.Enabled(ctx, r.Level)
	if h.answer(r.Level, wanted); wanted {
		_ = to.Handle(ctx, r)
	}
}

// age returns how old the answer about a level is.
func (h *handler) age(level slog.Level) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.wants[level].asked)
}

// answer notes whether the real handler wants a level.
func (h *handler) answer(level slog.Level, wanted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wants == nil {
		h.wants = map[slog.Level]answer{}
	}
	h.wants[level] = answer{!wanted, time.Now()}
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{log: h.log, get: func() slog.Handler { return h.get().WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{log: h.log, get: func() slog.Handler { return h.get().WithGroup(name) }}
}
