package mpi

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
	return c.made(op, func() (uintptr, int) { return rawSpawn(c.handle, s) })
}
