package main

import (
	"os"
	"strings"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/launch"
	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// serveCommand is `rankpool serve`.
type serveCommand struct {
	startFlags

	Service  *string `short:"s" placeholder:"PLACE" env:"RANKPOOL_SERVICE" help:"Where masters find the server: NAME (published), file:PATH (written), tcp:HOST:PORT (listened at). Default: the name rankpool."`
	PortFile *string `placeholder:"FILE" help:"The same as --service file:FILE."`
	Bind     string  `placeholder:"HOST" env:"RANKPOOL_SERVE_BIND" help:"The host name or address at which masters on other hosts reach this one; 0.0.0.0 for all that it has. Default: masters of this host only. With tcp:HOST:PORT it is HOST."`
	Keep     bool    `help:"Serve one master after another, until SIGTERM. Without it the server ends with its first master."`
}

// Help is what --help says beyond the options.
func (serveCommand) Help() string {
	return `All ranks become workers and wait for a master that is started apart: the same program, with futures.WithService or RANKPOOL_SERVICE. It takes Open MPI and its name server, which both sides must know; only a master without an mpiexec learns of it from the server. Since Open MPI 5 the daemons of prte take its place, and master and server are both started with mpiexec --dvm. With version 4 all ranks must be on the host of their mpiexec; srun cannot start a server.

Examples:

    (umask 077; ompi-server --no-daemonize -r uri) &
    mpiexec --ompi-server file:uri -n 4 rankpool serve --port-file job.port ./sweep
    RANKPOOL_SERVICE=file:job.port ./sweep

    mpiexec --ompi-server file:uri -n 4 rankpool serve --service sweeps --keep ./sweep
    RANKPOOL_SERVICE=sweeps mpiexec --ompi-server file:uri -n 1 ./sweep

Since Open MPI 5:

    (umask 077; prte --report-uri uri) &
    mpiexec --dvm uri:file:uri -n 4 rankpool serve --port-file job.port ./sweep
    mpiexec --dvm uri:file:uri -x RANKPOOL_SERVICE=file:job.port -n 1 ./sweep

Master and server must both know a secret: it is in the port file; for NAME and tcp: in the file that RANKPOOL_SERVICE_SECRET names, or in rankpool/secret in your folder for settings (~/.config), which the first server makes. Masters on other hosts need --bind.

Status: 0 when the master has closed its pool, or when SIGTERM has ended a server that waited; 1 when there is no name server, when another server is at PLACE, or when a master is lost, which takes the server along.`
}

// Run starts the program as a server on this rank.
func (c *serveCommand) Run(s command.Surroundings) error {
	place, err := c.place()
	if err != nil {
		return err
	}
	return launch.Options(c.startFlags).Serve(s, launch.Server{Place: place, Bind: c.Bind, Keep: c.Keep})
}

// place is where masters find the server.
func (c *serveCommand) place() (mpilink.Place, error) {
	said := ""
	switch {
	case c.PortFile != nil && c.Service != nil && os.Getenv("RANKPOOL_SERVICE") != *c.Service:
		return mpilink.Place{}, command.Usagef("--service and --port-file say the same thing: give one of them")
	case c.PortFile != nil:
		said = "file:" + *c.PortFile
	case c.Service != nil:
		said = *c.Service
	}
	place, err := mpilink.ParsePlace(said)
	if err != nil {
		return place, command.Usagef("%v", err)
	}
	if c.Bind != "" && strings.HasPrefix(place.String(), "tcp:") {
		return place, command.Usagef("--bind and tcp:HOST:PORT say the same thing: give HOST there, and leave --bind out")
	}
	return place, nil
}
