package main

import (
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/doctor"
)

// doctorCommand is `rankpool doctor`.
type doctorCommand struct {
	JSON    bool          `name:"json" help:"Print one JSON object instead of text."`
	Mpiexec string        `name:"mpiexec" placeholder:"PATH" help:"The mpiexec to examine; default: the one on the path."`
	Limit   time.Duration `name:"limit" default:"55s" help:"When to give up whatever hangs. A longer one gives each part more time, on a machine that is busy."`
}

// Help is what --help says beyond the options.
func (doctorCommand) Help() string {
	return `It starts small MPI programs of its own and reports which MPI this is, whether launcher and library belong together, thread level, slots, binding, spawning, connecting, whether other ranks live on when one is lost, what SIGTERM does, round trip and bandwidth between two ranks, host names and the scheduler. Every finding that is not ok comes with advice. Under an mpiexec or srun it examines that job instead.

It needs a command that was built with MPI:

    CGO_ENABLED=0 go install -tags mpi ./cmd/rankpool      in a clone of the repository

Examples:

    rankpool doctor
    rankpool doctor --mpiexec /opt/openmpi/bin/mpiexec
    srun -N 2 -n 4 rankpool doctor
    rankpool doctor --json

Status: 1 when a finding says fail, otherwise 0. It takes 60 seconds at most unless --limit gives it more, and leaves no process behind.`
}

// Run examines and prints.
func (c *doctorCommand) Run(s command.Surroundings) (err error) {
	ctx, stop := command.UntilSignal()
	defer stop(&err)
	r, err := doctor.Examine(ctx, s, doctor.Options{Mpiexec: c.Mpiexec, Limit: c.Limit})
	switch {
	case err != nil:
		return err
	case !command.Speaks(s.Launcher):
		r.WriteText(os.Stderr) // what has failed on this rank alone
		return nil
	case c.JSON:
		r.WriteJSON(s.Out)
	default:
		r.WriteText(s.Out)
	}
	if r.Status == doctor.Broken {
		return &command.SilentError{Status: command.Failure}
	}
	return nil
}
