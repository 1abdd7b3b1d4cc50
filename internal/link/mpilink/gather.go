package mpilink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	limits "github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Gathering describes the time in which the ranks of an intracommunicator serve one of them.
type Gathering struct {
	Comm    *mpi.Comm
	Options Options

	// Limit is how long the ranks are waited for; 0 means as long as they live.
	Limit time.Duration

	// Absent tells of some of these ranks that will not come, and why, until stop is closed; nil if that cannot be known. It returns at
	// once, and gone does not block. ended says that the rank's process is no more.
	Absent func(stop <-chan struct{}, ranks []int, gone func(why string, ended bool))

	// Over is called at the root, on any goroutine, when the ranks have been let go, which may be long after the Close of the group was
	// given up; unfit says why they cannot meet again, and is nil if they can. It may be nil.
	Over func(unfit error)
}

// NewGathered returns a group over the other ranks of the communicator, in their order, for the time that it is open.
// Each of them calls ServeGathered with the same communicator and the rank of this process; Open waits for that.
func NewGathered(cfg Config, t Gathering) *Group {
	return newGroup(cfg, nil, &gathering{Gathering: t})
}

// gathering is what there is of a Gathering at its root.
type gathering struct {
	Gathering

	mu      sync.Mutex
	ended   bool
	entered chan struct{} // closed when all ranks have entered, or that has failed or was given up; nil before this one begins

	// What came of it, once entered is closed.
	sub *mpi.Comm
	hub *Hub
	err error
}

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

// meet runs f, which all ranks do together and nothing can interrupt. It returns before f does when ctx ends, when the limit is over
// or when one of these ranks will not come: then the communicator cannot be used any more.
func (t *Gathering) meet(ctx context.Context, ranks []int, f func() error) error {
	if t.Limit > 0 {
		limited, cancel := limits.WithTimeout(ctx, t.Limit)
		defer cancel()
		ctx = limited
	}
	done, stop := make(chan error, 1), make(chan struct{})
	defer close(stop)
	go func() { done <- f() }()
	type absence struct {
		why   string
		ended bool
	}
	absent := make(chan absence, 1)
	if t.Absent != nil {
		t.Absent(stop, ranks, func(why string, ended bool) {
			select {
			case absent <- absence{why, ended}:
			default: // one is enough
			}
		})
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		markLost(nil)
		return fmt.Errorf("mpilink: some ranks of the communicator have not entered: all of them must call it, with the "+
			"same root: %w", context.Cause(ctx))
	case a := <-absent:
		select {
		case err := <-done: // it had entered
			return err
		case <-time.After(time.Second):
		}
		if a.ended {
			markLost(&endedError{})
		} else {
			markLost(nil)
		}
		return fmt.Errorf("mpilink: the ranks of the communicator cannot meet: %s", a.why)
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
		if g.err != nil {
			return nil, g.err
		}
		return g.hub, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin has this process enter, if it has not yet.
func (g *gathering) begin() (entered <-chan struct{}) {
	if g.entered == nil {
		g.entered = make(chan struct{})
		go func() {
			defer close(g.entered)
			g.err = g.meet(context.Background(), g.others(), g.enter)
		}()
	}
	return g.entered
}

// others are the ranks but this one.
func (g *gathering) others() (ranks []int) {
	for rank := range g.Comm.Size() {
		if rank != g.Comm.Rank() {
			ranks = append(ranks, rank)
		}
	}
	return ranks
}

// enter meets the other ranks.
func (g *gathering) enter() error {
	sub, err := reorder(g.Comm, g.Comm.Rank())
	if err != nil {
		return err
	}
	hub, err := Lead(sub, g.Options)
	if err != nil {
		return errors.Join(err, free(sub))
	}
	g.sub, g.hub = sub, hub
	return nil
}

// end lets the other ranks go. They enter all the same when this one has not: they are waited for then, for they must find their
// master.
func (g *gathering) end(ctx context.Context) error {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return nil
	}
	g.ended = true
	entered := g.begin()
	g.mu.Unlock()
	<-entered
	err, unfit := g.part(ctx)
	if g.Over != nil {
		g.Over(unfit)
	}
	return err
}

// part lets the ranks go that have entered, and tells why they cannot meet again.
func (g *gathering) part(ctx context.Context) (err, unfit error) {
	if g.err != nil {
		return g.err, g.err
	}
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeLimit)
		defer cancel()
		ctx = late
	}
	err = g.hub.Close(ctx)
	if unfit = err; unfit == nil && !g.hub.whole() {
		unfit = errors.New("a rank was lost")
	}
	if !mpi.Lost() { // collective
		err = errors.Join(err, free(g.sub))
	}
	return err, unfit
}

// goodbyeLimit is how long ranks that have entered too late may take to leave, and how long the end of a communicator may take.
const goodbyeLimit = 30 * time.Second

// free ends a communicator. No library that is known waits for the other ranks then, but the standard allows it.
func free(c *mpi.Comm) error {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeLimit)
	defer cancel()
	err, over := within(ctx, c.Free)
	if !over {
		err = fmt.Errorf("mpilink: MPI_Comm_free does not come back: another rank may have ended before it: %w", err)
	}
	return err
}

// ServeGathered runs workers for the group that rank root makes by NewGathered over the same communicator, until that is
// closed; see Serve. It waits for the other ranks until ctx ends, t.Limit is over or one of them will not come: after that the
// communicator cannot be used any more.
func ServeGathered(ctx context.Context, t Gathering, root int, serve func(link.Endpoint) error) error {
	var sub *mpi.Comm
	err := t.meet(ctx, []int{root}, func() (err error) {
		sub, err = reorder(t.Comm, root)
		return err
	})
	if err != nil {
		return err
	}
	err = Serve(sub, t.Options, serve)
	if mpi.Lost() { // collective
		return err
	}
	return errors.Join(err, free(sub))
}
