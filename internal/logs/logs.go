// Package logs is where records go for which the program has named no logger.
package logs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/rankpool/rankpool/internal/screen"
)

// Variable says from which level on records are written.
const Variable = "RANKPOOL_LOG"

// off is above every level.
const off = slog.Level(1 << 30)

// ReadLevel reads the value of Variable. An empty one stands for warn.
func ReadLevel(value string) (slog.Level, error) {
	switch strings.ToLower(value) {
	case "off":
		return off, nil
	case "error":
		return slog.LevelError, nil
	case "", "warn":
		return slog.LevelWarn, nil
	case "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	}
	return slog.LevelWarn, fmt.Errorf("%s=%q is unknown; use off, error, warn, info or debug", Variable, value)
}

// level is what Variable says now. A value that cannot be read is an error of an executor's start, and warn until then.
func level() slog.Level {
	l, _ := ReadLevel(os.Getenv(Variable))
	return l
}

// Default is the handler of records for which nobody has named another: slog's default if the program has set one, otherwise lines of
// text on standard error, with the time unless that is a terminal. It writes those that are of the level of Variable, or above. All of it
// is looked at when a record is handled, which is when an attribute is added too.
type Default struct{}

// Enabled implements slog.Handler.
func (Default) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= level() && current().Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (Default) Handle(ctx context.Context, r slog.Record) error { return current().Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (Default) WithAttrs(attrs []slog.Attr) slog.Handler { return bounded{current().WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (Default) WithGroup(name string) slog.Handler { return bounded{current().WithGroup(name)} }

// bounded is a handler that writes nothing below the level of Variable.
type bounded struct{ slog.Handler }

func (b bounded) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= level() && b.Handler.Enabled(ctx, l)
}
func (b bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return bounded{b.Handler.WithAttrs(attrs)}
}
func (b bounded) WithGroup(name string) slog.Handler { return bounded{b.Handler.WithGroup(name)} }

// builtIn is the type of the handler that slog begins with, which is not exported.
const builtIn = "*slog.defaultHandler"

func current() slog.Handler {
	if h := slog.Default().Handler(); fmt.Sprintf("%T", h) != builtIn {
		return h
	}
	return text(os.Stderr)
}

// text is a handler that writes lines to a file.
func text(f *os.File) slog.Handler {
	terminal := term.IsTerminal(int(f.Fd()))
	return slog.NewTextHandler(screen.Above(f, Survivor(f)), &slog.HandlerOptions{
		Level: slog.LevelDebug - 1<<20, // Variable decides
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 && terminal {
				return slog.Attr{}
			}
			if err, ok := a.Value.Any().(error); ok && a.Value.Kind() == slog.KindAny { // else it would be with its stack, by %+v
				return slog.String(a.Key, err.Error())
			}
			return a
		},
	})
}
