package futures

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/settings"
)

// This file takes what Main's function has set in its process before an executor starts to the workers of that.

// settle notes what the workers are to be set to. Local processes are started with the environment and in the directory of now,
// and later ones inherit the umask of their time; goroutines share them, and the ranks of a communicator have run the program themselves.
func (e *executor) settle() {
	switch {
	case e.comm != nil || e.backend == backendThreads:
	case e.backend == backendProcesses:
		own := settings.Flagged()
		own.Umask = settings.Umask()
		e.settings = &own
	default:
		all := life.Changed()
		e.settings = &all
	}
}

// worldUsers are the executors whose workers are the ranks of this process's world, which have one setting at a time.
var worldUsers struct {
	sync.Mutex
	by map[*dispatch.Master]*settings.Settings
}

// shareWorld refuses an executor whose settings differ from those of another that is open.
func (e *executor) shareWorld(m *dispatch.Master) error {
	u := &worldUsers
	u.Lock()
	defer u.Unlock()
	for other, set := range u.by {
		select {
		case <-other.Closed():
			delete(u.by, other)
			continue
		default:
		}
		if err := e.settings.Beside(*set); err != nil {
			return fmt.Errorf("futures: %w", err)
		}
	}
	if u.by == nil {
		u.by = map[*dispatch.Master]*settings.Settings{}
	}
	u.by[m] = e.settings
	return nil
}

type settingsKey struct{}

// entered is what a worker has set its process to, and how it lets that go.
type entered struct {
	settings *settings.Settings
	leave    func()
}

// enterSettings sets this process as its master's is. The context is that of the worker's life, and what it returns is for
// leaveSettings, and for enterAlso.
func enterSettings(ctx context.Context, s *settings.Settings) (context.Context, error) {
	leave, err := s.Enter()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, leave) // of a worker that is lost
	return context.WithValue(ctx, settingsKey{}, entered{s, leave}), nil
}

// enterAlso has another worker of this process, of which ctx is the life, keep what the first has set: either may leave before the other.
func enterAlso(ctx, first context.Context) (context.Context, error) {
	if e, ok := first.Value(settingsKey{}).(entered); ok {
		return enterSettings(ctx, e.settings)
	}
	return ctx, nil
}

// leaveSettings lets another master set this process. It is called before the worker's own master knows that it has left.
func leaveSettings(ctx context.Context) {
	if e, ok := ctx.Value(settingsKey{}).(entered); ok {
		e.leave()
	}
}

// workingDirectory is where local processes start; "" is where this one is.
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}
