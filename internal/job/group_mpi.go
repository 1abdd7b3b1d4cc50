//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Ranks implements Job.
func (r *ranks) Ranks(q Request) (g Group, world, shared bool, err error) {
	if _, err := startMPI(); err != nil {
		return nil, false, false, fmt.Errorf("futures: %w", err)
	}
	r.Lock()
	defer r.Unlock()
	cfg := q.config()
	switch {
	case r.serves:
		return nil, false, false, errors.New("futures: this process is a rank that serves a master; an executor in a task uses processes or threads")
	case r.shared != nil:
		shared, r.joined = r.joined, true
		return r.shared.Group(cfg), true, shared, nil
	}
	options, err := linkOptions()
	if err != nil {
		return nil, false, false, err
	}
	spawn := mpilink.Spawn{Config: cfg, Options: options, Command: q.Command, Args: q.Args, Info: q.Info}
	if spawn.Workers, err = spawned(q.Workers, max(q.Slots, 1)); err != nil {
		return nil, false, false, fmt.Errorf("futures: %w", err)
	}
	if spawn.Command == "" {
		if spawn.Command, err = os.Executable(); err != nil {
			return nil, false, false, fmt.Errorf("futures: cannot tell which program to spawn, use WithExecutable: %w", err)
		}
	}
	if q.Args == nil {
		spawn.Args = os.Args[1:]
	}
	return mpilink.NewSpawned(spawn), false, false, nil
}

// config is what a group of ranks is made with.
func (q Request) config() mpilink.Config {
	cfg := mpilink.Config{Backoff: q.Backoff, Liveness: q.Liveness}
	if q.Slots > 1 {
		cfg.PerRank = q.Slots
	}
	return cfg
}

// Spawnless implements Job.
func (r *ranks) Spawnless() (why, instead string) {
	if r.Leads() || r.Serves() || !mpi.Started() {
		return "", ""
	}
	why, instead, _ = mpi.Spawnless() // with an error the attempt will say more
	return why, instead
}

// spawned is how many processes are spawned with so many slots each: as many as are asked for, else so many that they fill what the launcher
// has room for.
func spawned(asked, slots int) (int, error) {
	if asked > 0 {
		return asked, nil
	}
	world, err := mpi.World()
	if err != nil {
		return 0, err
	}
	universe, known, err := mpi.UniverseSize()
	if err != nil || !known {
		return 1, err
	}
	return max((universe-world.Size()+slots-1)/slots, 1), nil
}
