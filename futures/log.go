package futures

import (
	"context"
	"log/slog"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
)

// SetLogger sets the logger for problems that this package cannot return to a caller, such as a callback that panicked (at level error) or
// a future that was claimed twice (above it), and for executors without [WithLogger]. Its handler is called on a goroutine of its own, see
// [WithLogger]. With nil, the default, records go to slog's default if the program has set one ([slog.SetDefault]). Otherwise they go to
// standard error, a line of text for each record, with the time unless standard error is a terminal. With nil the variable RANKPOOL_LOG
// sets the lowest level that is written: off, error, warn (the default), info or debug.
func SetLogger(l *slog.Logger) { life.SetLogger(l) }

// log reports what can be returned to nobody. It calls no code of the user's.
func log(level slog.Level, msg string, args ...any) {
	life.Complaints().Log(context.Background(), level, msg, args...)
}

// Logger returns a logger for the task, initializer or function of a state whose context ctx is or derives from. It is slog's default in
// the process that runs it, with the worker, its host and the attempt as attributes, and in a task the function as task.function. With any
// other context it is [slog.Default].
//
// Records go where that process's default logger writes, on the goroutine of the caller. Unless the program has set another, that is the
// worker's standard error, as for anything that it prints (see [WithOutputPrefix]). The level is that of the same handler: RANKPOOL_LOG
// only affects what rankpool itself reports. A program that calls [slog.SetDefault] before [Main] does so in its workers too.
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
