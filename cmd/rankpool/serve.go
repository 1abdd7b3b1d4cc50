package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// serveCommand is `rankpool serve`.
type serveCommand struct {
	startOptions

	Service  *string `short:"s" placeholder:"PLACE" env:"RANKPOOL_SERVICE" help:"Where masters find the server: NAME (published), file:PATH (written), tcp:HOST:PORT (listened at). Default: the name rankpool."`
	PortFile *string `placeholder:"FILE" help:"The same as --service file:FILE."`
	Bind     string  `placeholder:"HOST" env:"RANKPOOL_SERVE_BIND" help:"The host name or address at which masters on other hosts reach this one; 0.0.0.0 for all that it has. Default: masters of this host only. With tcp:HOST:PORT it is HOST."`
	Keep     bool    `help:"Serve one master after another, until SIGTERM. Without it the server ends with its first master."`
}

// Help is what --help says beyond the options.
func (serveCommand) Help() string {
	return `All ranks become workers and wait for a master that is started apart: the same program, with futures.WithService or RANKPOOL_SERVICE. It takes Open MPI and its name server, which both sides must know; only a master without an mpiexec learns of it from the server. All ranks must be on the host of their mpiexec; srun cannot start a server.

Examples:

    (umask 077; ompi-server --no-daemonize -r uri) &
    mpiexec --ompi-server file:uri -n 4 rankpool serve --port-file job.port ./sweep
    RANKPOOL_SERVICE=file:job.port ./sweep

    mpiexec --ompi-server file:uri -n 4 rankpool serve --service sweeps --keep ./sweep
    RANKPOOL_SERVICE=sweeps mpiexec --ompi-server file:uri -n 1 ./sweep

Master and server must both know a secret: it is in the port file; for NAME and tcp: in the file that RANKPOOL_SERVICE_SECRET names, or in rankpool/secret in your folder for settings (~/.config), which the first server makes. Masters on other hosts need --bind.

Status: 0 when the master has closed its pool, or when SIGTERM has ended a server that waited; 1 when there is no name server, when another server is at PLACE, or when a master is lost, which takes the server along.`
}

// The environment variables that make a program a server; package futures reads them.
const (
	serveVariable = "RANKPOOL_SERVE"
	keepVariable  = "RANKPOOL_SERVE_KEEP"
	bindVariable  = "RANKPOOL_SERVE_BIND"
)

// Run starts the program as a server on this rank.
func (c *serveCommand) Run(s surroundings) error {
	ctx, stop := untilSignal()
	defer stop()
	place, err := c.place()
	if err != nil {
		return err
	}
	t, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	if err := finished(ctx, c.Wait, fileGrace, "looking for the name server", func() error { return servable(s.launcher) }); err != nil {
		if !speaks(s.launcher) {
			return &silentError{}
		}
		return err
	}
	p, err := c.provide(ctx, s, t, true)
	if err != nil {
		return err
	}
	stop()
	if err := os.Setenv(serveVariable, place.String()); err != nil {
		return err
	}
	if c.Keep {
		if err := os.Setenv(keepVariable, "1"); err != nil {
			return err
		}
	}
	if err := os.Setenv(bindVariable, c.Bind); err != nil {
		return err
	}
	return p.become()
}

// place is where masters find the server.
func (c *serveCommand) place() (mpilink.Place, error) {
	said := ""
	switch {
	case c.PortFile != nil && c.Service != nil && os.Getenv("RANKPOOL_SERVICE") != *c.Service:
		return mpilink.Place{}, usagef("--service and --port-file say the same thing: give one of them")
	case c.PortFile != nil:
		said = "file:" + *c.PortFile
	case c.Service != nil:
		said = *c.Service
	}
	place, err := mpilink.ParsePlace(said)
	if err != nil {
		return place, usagef("%v", err)
	}
	if c.Bind != "" && strings.HasPrefix(place.String(), "tcp:") {
		return place, usagef("--bind and tcp:HOST:PORT say the same thing: give HOST there, and leave --bind out")
	}
	return place, nil
}

// servable refuses what cannot be a server, before anything is built.
func servable(l mpi.Launcher) error {
	switch {
	case !l.Found():
		return errors.New("serve: a server is a job of its own: start it with `mpiexec --ompi-server file:URIFILE -n N rankpool serve PROGRAM`; " +
			"without an mpiexec, programs use processes of this machine by themselves (rankpool run)")
	case l.Family == mpi.MPICH:
		return errors.New("serve: " + l.Name + ": programs that were started apart cannot connect with MPICH (4.0.2 over UCX opens no " +
			"port): start master and workers together, with `mpiexec -n N`, or use Open MPI")
	}
	if err := mpi.CheckApart(os.LookupEnv); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	names, err := mpi.FindNameServer(os.LookupEnv)
	if err != nil {
		return err
	}
	if names.URI == "" {
		return errors.New("serve: this job was started without a name server, by which Open MPI connects programs that were started " +
			"apart: start one, once, with `(umask 077; ompi-server --no-daemonize -r URIFILE) &`, and this job with `mpiexec --ompi-server file:URIFILE`")
	}
	return nil
}
