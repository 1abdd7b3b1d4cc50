package futures

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/lane"
)

// complaints is where what this package can report to nobody goes.
var complaints atomic.Pointer[lane.Logger]

// defaultComplaints goes to slog's default.
var defaultComplaints = lane.NewLogger(nil)

// SetLogger sets where this package reports what it can return to nobody: a callback that panicked (at level error), a
// future that was claimed twice (above it) (A34). Nil, which is the start, means slog.Default. The logger's handler is called on a
// goroutine of its own, as WithLogger says.
func SetLogger(l *slog.Logger) {
	if l == nil {
		complaints.Store(nil)
		return
	}
	to := lane.NewLogger(l.Handler())
	complaints.Store(&to)
}

// lastWords is how long the end of a program, and a shutdown that waits, wait for a log handler that is at work.
const lastWords = time.Second

func complaintLog() lane.Logger {
	if l := complaints.Load(); l != nil {
		return *l
	}
	return defaultComplaints
}

// log reports what can be returned to nobody. It calls no code of the user's.
func log(level slog.Level, msg string, args ...any) {
	complaintLog().Log(context.Background(), level, msg, args...)
}
