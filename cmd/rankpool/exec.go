package main

import (
	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/launch"
)

// execCommand is `rankpool exec`.
type execCommand struct{ startFlags }

// Help is what --help says beyond the options.
func (execCommand) Help() string {
	return `Every rank runs the program's main as it is: no master, no workers. When one rank ends with a status other than 0, or by a signal, the whole job ends with that status, also under launchers that would wait for the others. With srun add --kill-on-bad-exit.

Examples:

    mpiexec -n 4 rankpool exec ./simulation input.toml
    mpiexec -n 4 rankpool exec ring.go
    mpiexec -n 4 rankpool exec -c 'fmt.Println(os.Getpid())'

The statements of -c are the body of a function that is called from main: ctx is a context that ends at an interrupt, and they may return an error.

Status: the program's, as the launcher reports it; 1 when there is no program to run or it cannot be built.`
}

// Run starts the program on this rank.
func (c *execCommand) Run(s command.Surroundings) error { return launch.Options(c.startFlags).Exec(s) }
