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
	ended   bool
	entered chan struct{} // closed when all ranks have entered, or that has failed; nil before this one begins

	// What came of it, once entered is closed.
	sub *mpi.Comm
	hub *Hub
	err error
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

// within waits for what cannot be interrupted, and goes on by itself when ctx ends first: then over is false.
func within(ctx context.Context, f func() error) (err error, over bool) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err, true
	case <-ctx.Done():
		markLost(nil)
		return context.Cause(ctx), false
	}
}

func (g *gathering) start(ctx context.Context) (*Hub, error) {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return nil, link.ErrClosed
	}
	entered := g.begin()
	g.mu.Unlock()
	select {
	case <-entered:
		return g.hub, g.err
	case <-ctx.Done():
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		markLost(nil)
		return nil, fmt.Errorf("mpilink: some ranks of the communicator have not entered: all of them must call it, with the "+
			"same root: %w", context.Cause(ctx))
	}
}

// begin has this process enter, if it has not yet.
func (g *gathering) begin() (entered <-chan struct{}) {
	if g.entered == nil {
		g.entered = make(chan struct{})
		go func() {
			defer close(g.entered)
			g.sub, g.hub, g.err = g.enter()
		}()
	}
	return g.entered
}

// enter meets the other ranks.
func (g *gathering) enter() (*mpi.Comm, *Hub, error) {
	sub, err := reorder(g.comm, g.comm.Rank())
	if err != nil {
		return nil, nil, err
	}
	hub, err := Lead(sub, g.options)
	if err != nil {
		return nil, nil, errors.Join(err, sub.Free())
	}
	return sub, hub, nil
}

// end lets the other ranks go. They enter all the same when this one has not: they are waited for then.
func (g *gathering) end(ctx context.Context) error {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return nil
	}
	g.ended = true
	entered := g.begin()
	g.mu.Unlock()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherLimit)
	defer cancel()
	select {
	case <-entered:
	case <-late.Done():
		markLost(nil)
		return fmt.Errorf("mpilink: some ranks of the communicator have not entered: %w", context.Cause(late))
	}
	if g.hub == nil {
		return g.err
	}
	if ctx.Err() != nil {
		ctx = late
	}
	return errors.Join(g.hub.Close(ctx), g.sub.Free())
}

// ServeGathered runs workers for the group that rank root makes by NewGathered over the same communicator, until that is
// closed; see Serve. It waits for root without a limit but ctx: after that the communicator cannot be used any more.
func ServeGathered(ctx context.Context, c *mpi.Comm, root int, o Options, serve func(link.Endpoint) error) error {
	var sub *mpi.Comm
	err, over := within(ctx, func() (err error) {
		sub, err = reorder(c, root)
		return err
	})
	if !over {
		return fmt.Errorf("mpilink: gave up waiting for the other ranks of the communicator: %w", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(Serve(sub, o, serve), sub.Free())
}
