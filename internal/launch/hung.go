package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/gobuild"
)

// A file system that hangs, as that of a server which has gone, holds a call for as long as it likes, and no signal ends that call. So
// whatever looks at files runs on a goroutine of its own, and the command ends without it.

// hungError is a file system that has not answered.
type hungError struct {
	what string
	time time.Duration
}

func (e *hungError) Error() string {
	return fmt.Sprintf("%s has not ended within %v: does the file system there hang? choose another folder with --dir or RANKPOOL_RUN_DIR, "+
		"or a longer time with --wait", e.what, e.time)
}

// Graces for what a signal has told to end: for calls of the file system, and for the go command, which is ended gently.
const (
	fileGrace  = time.Second
	buildGrace = gobuild.Grace + 2*time.Second
)

// noLimit is for what may take as long as it likes.
const noLimit time.Duration = 1<<63 - 1

// answered returns what ask returns. It blocks until then, until the limit, or until ctx has ended and the grace after that is over;
// ask goes on without anybody in the last two cases.
func answered[T any](ctx context.Context, limit, grace time.Duration, what string, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		v, err := ask()
		done <- answer{v, err}
	}()
	var none T
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case a := <-done:
		return a.value, a.err
	case <-late.C:
		return none, &hungError{what, limit}
	case <-ctx.Done():
	}
	select {
	case a := <-done:
		return a.value, a.err
	case <-time.After(grace):
		return none, context.Cause(ctx)
	}
}

// finished is answered for what returns nothing but an error.
func finished(ctx context.Context, limit, grace time.Duration, what string, do func() error) error {
	_, err := answered(ctx, limit, grace, what, func() (struct{}, error) { return struct{}{}, do() })
	return err
}
