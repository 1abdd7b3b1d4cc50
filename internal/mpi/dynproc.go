package mpi

import (
	"errors"
	"fmt"
)

// InfoPair is one entry of an MPI_Info, passed to the library as it is.
type InfoPair struct{ Key, Value string }

// SpawnRequest says what to start. MPI 4.0 section 11.8.
type SpawnRequest struct {
	Command string
	Args    []string // without the command itself
	N       int      // at most, where Info has "soft"; otherwise exactly
	Info    []InfoPair
	Root    int // the rank of the communicator whose request counts
}

// Spawn starts processes and returns the intercommunicator to them; its RemoteSize is how many there are. Collective over
// c; it blocks until they have initialised MPI, without a limit of its own. What the library cannot do ends in an error
// that says to start with mpiexec -n N instead. Free or Disconnect the result.
func (c *Comm) Spawn(s SpawnRequest) (*Comm, error) {
	const op = "MPI_Comm_spawn"
	if s.N < 1 {
		return nil, invalid(op, ClassArg, "cannot spawn %d processes", s.N)
	}
	if s.Command == "" {
		return nil, invalid(op, ClassArg, "no command to spawn")
	}
	made, err := c.madeAlone(op, func() (uintptr, int) { return rawSpawn(c.handle, s) })
	if e := new(Error); errors.As(err, &e) {
		e.Hint = spawnHint(s.N)
	}
	return made, err
}

// spawnHint says what to do when n processes could not be spawned.
func spawnHint(n int) string {
	universe, known, err := UniverseSize()
	world, worldErr := World()
	if err != nil || worldErr != nil || !known || n <= universe-world.Size() {
		return hints[ClassSpawn]
	}
	room := fmt.Sprintf("%d workers were asked for and the launcher has room for %d", n, max(universe-world.Size(), 0))
	if Family(rawFamily()) == OpenMPI {
		room += ": give it more (mpiexec --oversubscribe, or a hostfile with slots=N)"
	} else {
		room += ": give it more"
	}
	return room + ", ask for fewer workers (WithMaxWorkers, RANKPOOL_MAX_WORKERS), or start the program with `mpiexec -n N` instead (N-1 of them work)"
}
