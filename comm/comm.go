package comm

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// Comm is a communicator of workers, for one task. All goroutines of the task may use it until the task returns, but only one at a time for
// collective operations. It comes from [Workers], [Comm.Split] or [Comm.Dup]. A nil one, or a zero value, has no ranks, and its operations
// return errors.
type Comm struct {
	peers *dispatch.Peers
	group *group // nil: all of them
}

// Workers returns the communicator of all workers, or in a gang that of its members, for the task whose context ctx is or derives from. It
// is futures.CommWorkers for code that needs nothing else of package futures. It does not block. Outside of a task that has other workers
// the error is futures.ErrNoWorkersComm.
func Workers(ctx context.Context) (*Comm, error) {
	p, err := dispatch.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return &Comm{peers: p}, nil
}

var errNone = errors.New("there is no communicator: look at the error of futures.CommWorkers, or at the color that Split was given")

func (c *Comm) none() bool { return c == nil || c.peers == nil }

// Rank returns this worker's number, from 0; -1 if there is no communicator.
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

// String returns which rank this is, and of how many.
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
