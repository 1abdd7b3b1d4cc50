package futures

import (
	"context"
	"log/slog"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
)

// SetLogger sets where this package reports what it can return to nobody, such as a callback that panicked (at level error) or a
// future that was claimed twice (above it), and what executors without [WithLogger] report. Its handler is called on a goroutine of its
// own, as [WithLogger] says. Nil, which is the start, means: slog's default if the program has set one ([slog.SetDefault]), otherwise
// standard error, a line of text for each record, with the time unless standard error is a terminal. With nil the variable RANKPOOL_LOG says
// from which level on records are written: off, error, warn (the default), info or debug.
func SetLogger(l *slog.Logger) { life.SetLogger(l) }

// log reports what can be returned to nobody. It calls no code of the user's.
func log(level slog.Level, msg string, args ...any) {
	life.Complaints().Log(context.Background(), level, msg, args...)
}

// Logger returns a logger for a task, a state's function or an initializer, whose context ctx is, or was made of: slog's default in the process that
// it runs in, with the worker, its host and the attempt as attributes, and in a task the function as task.function. With any other context it is
// [slog.Default].
//
// What it writes goes where that process's slog.Default writes, on the goroutine of the caller: unless the program has set another, to the
// worker's standard error, as what it prints does (see [WithOutputPrefix]). The level is that handler's too: RANKPOOL_LOG is about what
// rankpool itself reports. A program that calls [slog.SetDefault] before [Main] does so in its workers.
func Logger(ctx context.Context) *slog.Logger {
	p, ok := dispatch.PlaceOf(ctx)
	if !ok {
		return slog.Default()
	}
	l := slog.Default().With("worker", p.Index, "host", p.Host, "attempt", p.Attempt)
	fn, ok := dispatch.FunctionOf(ctx)
	if !ok {
		return l
	}
	name := functionName
	if dispatch.HomeOf(ctx) != nil {
		name = sharedName
	}
	return l.With(slog.Group("task", "function", name(fn)))
}
