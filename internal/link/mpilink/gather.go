package mpilink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// NewGathered returns a group over the other ranks of an intracommunicator, in their order, for the time that it is open.
// Each of them calls ServeGathered with the same communicator and the rank of this process; Open waits for that.
func NewGathered(cfg Config, o Options, c *mpi.Comm) *Group {
	return newGroup(cfg, nil, &gathering{comm: c, options: o})
}

// gathering is the time in which the ranks of a communicator serve one of them.
type gathering struct {
	comm    *mpi.Comm
	options Options

	mu      sync.Mutex
	sub     *mpi.Comm
	hub     *Hub
	entered chan struct{} // closed when all ranks have entered, or that has failed; nil before start
	gaveUp  bool          // start did
	ended   bool
}

// gatherLimit is how long the end of a group waits for ranks that have not entered yet: they must find their master.
const gatherLimit = 30 * time.Second

// reorder makes a communicator of all ranks in which root is the first. Collective; it cannot be interrupted.
func reorder(c *mpi.Comm, root int) (*mpi.Comm, error) {
	key := c.Rank() + 1
	if c.Rank() == root {
		key = 0
	}
	return c.Split(0, key)
}

// within waits for what cannot be interrupted.
func within[T any](ctx context.Context, f func() (T, error)) (v T, err error, over bool) {
	done := make(chan struct{})
	var got T
	var failed error
	go func() {
		defer close(done)
		got, failed = f()
	}()
	select {
	case <-done:
		return got, failed, true
	case <-ctx.Done():
		return v, context.Cause(ctx), false
	}
}

func (g *gathering) start(ctx context.Context) (*Hub, error) {
	entered := make(chan struct{})
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return nil, link.ErrClosed
	}
	g.entered = entered
	g.mu.Unlock()
	_, err, over := within(ctx, func() (struct{}, error) {
		defer close(entered)
		return struct{}{}, g.enter()
	})
	if !over {
		g.mu.Lock()
		g.gaveUp = true
		g.mu.Unlock()
		mpi.MarkLost()
		return nil, fmt.Errorf("mpilink: some ranks of the communicator have not entered: all of them must call it, with the same root: %w", err)
	}
	return g.hub, err
}

// enter meets the other ranks.
func (g *gathering) enter() error {
	sub, err := reorder(g.comm, g.comm.Rank())
	if err != nil {
		return err
	}
	hub, err := Lead(sub, g.options)
	g.mu.Lock()
	g.sub, g.hub = sub, hub
	g.mu.Unlock()
	return err
}

func (g *gathering) end(ctx context.Context) error {
	g.mu.Lock()
	entered, again := g.entered, g.ended || g.gaveUp
	g.ended = true
	g.mu.Unlock()
	if again {
		return nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherLimit)
	defer cancel()
	if entered == nil { // the others enter all the same, and must be let go
		_, _, _ = within(late, func() (struct{}, error) { return struct{}{}, g.enter() })
	} else {
		select {
		case <-entered:
		case <-late.Done():
			mpi.MarkLost()
		}
	}
	g.mu.Lock()
	sub, hub := g.sub, g.hub
	g.mu.Unlock()
	if hub == nil {
		return nil
	}
	if ctx.Err() != nil {
		ctx = late
	}
	return errors.Join(hub.Close(ctx), sub.Free())
}

// ServeGathered runs workers for the group that rank root makes by NewGathered over the same communicator, until that is
// closed; see Serve. It waits for root without a limit but ctx: after that the communicator cannot be used any more.
func ServeGathered(ctx context.Context, c *mpi.Comm, root int, o Options, serve func(link.Endpoint)) error {
	sub, err, over := within(ctx, func() (*mpi.Comm, error) { return reorder(c, root) })
	if !over {
		mpi.MarkLost()
		return fmt.Errorf("mpilink: gave up waiting for the other ranks of the communicator: %w", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(Serve(sub, o, serve), sub.Free())
}
