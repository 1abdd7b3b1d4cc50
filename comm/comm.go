package comm

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// Comm is the communicator of the workers, in the hands of one task. It may be used until the task returns, by any of its
// goroutines; the collective operations by one at a time. It comes from [Workers], or from [Comm.Split] or [Comm.Dup]: a nil one, or a zero value, has
// no ranks, and its operations return errors.
type Comm struct {
	peers *dispatch.Peers
	group *group // nil: all of them
}

// Workers returns the communicator of all workers, in a gang of its members, for the task whose context ctx is or descends from. It is
// futures.CommWorkers for code that needs nothing else of package futures, and does not block. Outside of a task that has other
// workers the error is futures.ErrNoWorkersComm.
func Workers(ctx context.Context) (*Comm, error) {
	p, err := dispatch.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return &Comm{peers: p}, nil
}

var errNone = errors.New("there is no communicator: look at the error of futures.CommWorkers, or at the color that Split was given")

func (c *Comm) none() bool { return c == nil || c.peers == nil }

// Rank returns this worker's number, from 0; -1 where there is no communicator.
func (c *Comm) Rank() int {
	switch {
	case c.none():
		return -1
	case c.group != nil:
		return c.group.rank
	}
	return c.peers.Rank
}

// Size returns the number of workers.
func (c *Comm) Size() int {
	switch {
	case c.none():
		return 0
	case c.group != nil:
		return len(c.group.peers)
	}
	return c.peers.Size
}

// String says which rank of how many it is.
func (c *Comm) String() string {
	switch {
	case c.none():
		return "no communicator"
	case c.group != nil:
		return fmt.Sprintf("rank %d of %d (%d of all %d workers)", c.Rank(), c.Size(), c.peers.Rank, c.peers.Size)
	}
	return fmt.Sprintf("rank %d of %d workers", c.Rank(), c.Size())
}

// ranks is what an error about a rank says.
func (c *Comm) ranks() string {
	if c.group != nil {
		return fmt.Sprintf("there are %d ranks", c.Size())
	}
	return fmt.Sprintf("there are %d workers", c.Size())
}
