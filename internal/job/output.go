package job

import (
	"context"
	"sync"
)

// redirection is what a rank has to undo after it has served.
type redirection struct {
	mu      sync.Mutex
	over    bool
	release func()
}

// redirectionKey is the key of the *redirection in the context of a set-up.
type redirectionKey struct{}

// end gives the rank its own output back. A set-up that still runs changes it no more.
func (r *redirection) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over = true; r.release != nil {
		r.release()
	}
}

// Redirect has this rank's standard output and error go to a file, or each line begin with a prefix, if ctx is that of its set-up. What
// tells whether two executors ask for the same.
func Redirect(ctx context.Context, what, prefix, file string) (err error) {
	r, _ := ctx.Value(redirectionKey{}).(*redirection)
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.release, err = redirectOutput(what, prefix, file)
	}
	return err
}
