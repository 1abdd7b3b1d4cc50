package job

import (
	"context"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// redirection is what a rank has to undo after it has served.
type redirection struct {
	mu      sync.Mutex
	over    bool
	release func()
}

// redirectionKey is the key of the *redirection in the context of a set-up.
type redirectionKey struct{}

// ServeRedirected is dispatch.Serve in a rank whose set-up may call Redirect, which holds until the end.
func ServeRedirected(ep link.Endpoint, svc dispatch.Service) error {
	var r redirection
	setup := svc.Setup
	svc.Setup = func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) {
		return setup(context.WithValue(ctx, redirectionKey{}, &r), b, segments)
	}
	defer r.end()
	return dispatch.Serve(ep, svc)
}

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
