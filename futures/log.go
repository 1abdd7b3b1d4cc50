package futures

import (
	"context"
	"log/slog"

	"github.com/rankpool/rankpool/internal/life"
)

// SetLogger sets where this package reports what it can return to nobody: a callback that panicked (at level error), a
// future that was claimed twice (above it). Nil, which is the start, means slog.Default. The logger's handler is called on a
// goroutine of its own, as [WithLogger] says.
func SetLogger(l *slog.Logger) { life.SetLogger(l) }

// log reports what can be returned to nobody. It calls no code of the user's.
func log(level slog.Level, msg string, args ...any) {
	life.Complaints().Log(context.Background(), level, msg, args...)
}
