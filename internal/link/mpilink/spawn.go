package mpilink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Spawn says which program a group's workers run.
type Spawn struct {
	Config
	Options

	Command string
	Args    []string
	Workers int // at most

	// Info is passed to MPI_Comm_spawn as it is. Without it the library may start fewer workers than asked for.
	Info map[string]string
}

// NewSpawned returns a group that spawns its workers when it is opened, and lets them go when it is closed. The spawned
// program must call Serve with what mpi.Parent returns.
func NewSpawned(s Spawn) *Group { return newGroup(s.Config, nil, &spawning{spec: s}) }

// spawning is the life of the processes that were spawned for one group.
type spawning struct {
	spec Spawn

	mu    sync.Mutex
	comm  *mpi.Comm
	hub   *Hub
	ended bool
}

// leaving is the least time that spawned processes get to leave.
const leaving = 5 * time.Second

// start spawns. The call cannot be interrupted: when ctx ends first, what comes up later is sent away.
func (s *spawning) start(ctx context.Context) (*Hub, error) {
	self, err := mpi.Self()
	if err != nil {
		return nil, err
	}
	request := mpi.SpawnRequest{Command: s.spec.Command, Args: s.spec.Args, N: s.spec.Workers}
	for _, key := range slices.Sorted(maps.Keys(s.spec.Info)) {
		request.Info = append(request.Info, mpi.InfoPair{Key: key, Value: s.spec.Info[key]})
	}
	if len(s.spec.Info) == 0 {
		request.Info = []mpi.InfoPair{{Key: "soft", Value: fmt.Sprintf("1:%d", s.spec.Workers)}}
		if b := mpi.FindBinding(); mpi.FindLauncher(os.LookupEnv).Family == mpi.OpenMPI && b.Allowed > 1 {
			// Open MPI binds spawned processes to a core each, whatever mpiexec was told.
			request.Info = append(request.Info, mpi.InfoPair{Key: "bind_to", Value: "none"})
		}
	}
	type outcome struct {
		hub *Hub
		err error
	}
	spawned := make(chan outcome, 1)
	underWay.add(1)
	go func() {
		defer underWay.add(-1)
		if err := burials.settle(ctx); err != nil {
			spawned <- outcome{nil, fmt.Errorf("mpilink: processes that were spawned before do not end: %w", err)}
			return
		}
		comm, err := self.Spawn(request)
		if err != nil {
			spawned <- outcome{nil, err}
			return
		}
		hub, err := Lead(comm, s.spec.Options)
		s.mu.Lock()
		s.comm, s.hub = comm, hub
		late := s.ended
		s.mu.Unlock()
		spawned <- outcome{hub, err}
		if late && err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), leaving)
			defer cancel()
			_ = s.goodbye(ctx, comm, hub)
		}
	}()
	select {
	case o := <-spawned:
		return o.hub, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("mpilink: %d spawned workers have not come up; start with `mpiexec -n N` instead, or look for "+
			"what keeps %s from calling futures.Main: %w", s.spec.Workers, s.spec.Command, context.Cause(ctx))
	}
}

// Spawns whose outcome is not known, or whose processes have come up too late and are sent away; and processes that are on
// their way out.
var underWay, burials pending

// pending counts what is going on.
type pending struct {
	sync.Mutex
	n    int
	none chan struct{} // closed when n becomes 0; nil unless somebody waits
}

func (p *pending) add(n int) {
	p.Lock()
	defer p.Unlock()
	if p.n += n; p.n == 0 && p.none != nil {
		close(p.none)
		p.none = nil
	}
}

// settle waits until nothing is going on, or until ctx ends.
func (p *pending) settle(ctx context.Context) error {
	p.Lock()
	if p.n == 0 {
		p.Unlock()
		return nil
	}
	if p.none == nil {
		p.none = make(chan struct{})
	}
	none := p.none
	p.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Settle waits until no spawn is under way that a group has given up, or until ctx ends. MPI must not be finalized before.
func Settle(ctx context.Context) error {
	if err := underWay.settle(ctx); err != nil {
		return fmt.Errorf("mpilink: a spawn does not return: %w", err)
	}
	return nil
}

// end sends the spawned processes away.
func (s *spawning) end(ctx context.Context) error {
	s.mu.Lock()
	comm, hub, again := s.comm, s.hub, s.ended
	s.ended = true
	s.mu.Unlock()
	if again || hub == nil {
		return nil
	}
	if ctx.Err() != nil { // the workers have used up the time; the processes get some of their own
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), leaving)
		defer cancel()
	}
	return s.goodbye(ctx, comm, hub)
}

func (s *spawning) goodbye(ctx context.Context, comm *mpi.Comm, hub *Hub) error {
	if err := hub.Close(ctx); err != nil {
		return err
	}
	burials.add(1)
	defer burials.add(-1)
	if hub.whole() { // else the ranks end without it
		if err := Disconnect(ctx, comm); err != nil {
			return err
		}
	}
	hub.awaitExits(ctx)
	return nil
}

// awaitExits waits until the processes of the ranks that are on this machine have ended, as far as ctx allows. A spawn while
// Open MPI's mpiexec buries earlier ones may never return (two of 300), so a group ends with its processes, and no spawn
// begins before.
func (h *Hub) awaitExits(ctx context.Context) {
	h.hubMu.Lock()
	procs := h.procs
	h.hubMu.Unlock()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for _, p := range procs {
		for near := p.near(); near && p.exists(); {
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Disconnect cuts a spawned program and its master loose from each other. Both call it, after Serve and Hub.Close; it
// blocks until the other side does, or until ctx ends.
func Disconnect(ctx context.Context, c *mpi.Comm) error {
	err, over := within(ctx, c.Disconnect)
	if !over {
		return errors.Join(errors.New("mpilink: the other side of a spawn does not disconnect"), err)
	}
	return err
}
