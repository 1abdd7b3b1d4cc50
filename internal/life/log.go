package life

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/lane"
)

// complaints is where what can be reported to nobody goes.
var complaints atomic.Pointer[lane.Logger]

// defaultComplaints goes to slog's default.
var defaultComplaints = lane.NewLogger(nil)

// SetLogger sets where what can be returned to nobody is reported. Nil, which is the start, means slog.Default.
func SetLogger(l *slog.Logger) {
	if l == nil {
		complaints.Store(nil)
		return
	}
	to := lane.NewLogger(l.Handler())
	complaints.Store(&to)
}

// LastWords is how long the end of a program, and a shutdown that waits, wait for a log handler that is at work.
const LastWords = time.Second

// Complaints is where what can be returned to nobody is reported. It calls no code of the user's.
func Complaints() lane.Logger {
	if l := complaints.Load(); l != nil {
		return *l
	}
	return defaultComplaints
}
