package life

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/logs"
)

// complaints is where what can be reported to nobody goes, if SetLogger has said so.
var complaints atomic.Pointer[chosen]

// chosen is a logger of the program's.
type chosen struct {
	handler slog.Handler
	lane.Logger
}

// defaultComplaints goes where nobody has said anything.
var defaultComplaints = lane.NewLogger(logs.Default{})

// SetLogger sets where what has no logger of its own is reported. Nil, which is the start, means logs.Default.
func SetLogger(l *slog.Logger) {
	if l == nil {
		complaints.Store(nil)
		return
	}
	complaints.Store(&chosen{l.Handler(), lane.NewLogger(l.Handler())})
}

// How long the end of a program, and a shutdown that waits, wait for a log handler, a file or a hook that is at work: after a signal no longer than the grace has left,
// for then the launcher kills, but for a moment always.
const (
	lastWords      = time.Second
	lastWordsLeast = 100 * time.Millisecond
)

// LastWords returns a context that ends with ctx, and when the wait for what is at work is over. release must be called.
func LastWords(ctx context.Context) (bounded context.Context, release context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	stop := onSignal(func() { afterGrace(ctx, lastWordsLeast, cancel) })
	return ctx, func() {
		stop()
		cancel()
	}
}

// FlushLast waits until the loggers have written, for so long as the end waits for what is at work.
func FlushLast(loggers ...lane.Logger) {
	ctx, release := LastWords(context.Background())
	defer release()
	lane.Flush(ctx, loggers...)
}

// Complaints is where what can be returned to nobody is reported. It calls no code of the user's.
func Complaints() lane.Logger {
	if l := complaints.Load(); l != nil {
		return l.Logger
	}
	return defaultComplaints
}

// LogHandler is the handler of what has no logger of its own: at each record the one that was set last.
type LogHandler struct{}

func (LogHandler) to() slog.Handler {
	if l := complaints.Load(); l != nil {
		return l.handler
	}
	return logs.Default{}
}

// Enabled implements slog.Handler.
func (h LogHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.to().Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h LogHandler) Handle(ctx context.Context, r slog.Record) error { return h.to().Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.to().WithAttrs(attrs) }

// WithGroup implements slog.Handler.
func (h LogHandler) WithGroup(name string) slog.Handler { return h.to().WithGroup(name) }
