// Package launch starts programs on the ranks of a job or without one: it finds what the user means, has one rank build it where all
// find it, and turns this process into it.
package launch

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// ucxTransports is what UCX, which MPICH uses, reads when it is loaded, so before the program can set it. Its transport cma ends
// its own process when it cannot read the memory of another one: a rank that is killed while its result is fetched took the
// master along in 12 of 12 jobs.
const ucxTransports = "UCX_TLS"

// The environment variables that make a program a server; package futures reads them.
const (
	serveVariable = "RANKPOOL_SERVE"
	keepVariable  = "RANKPOOL_SERVE_KEEP"
	bindVariable  = "RANKPOOL_SERVE_BIND"
)

// Run starts a program that uses the library, beside this process when stay is true. It returns only when that failed, or when the
// program that it stayed beside has ended.
func (o Options) Run(s command.Surroundings, stay bool) error {
	p, err := o.obtain(s, true, nil)
	if err != nil {
		return err
	}
	if !stay {
		return p.become()
	}
	if _, set := os.LookupEnv(ucxTransports); !set {
		if err := os.Setenv(ucxTransports, "^cma"); err != nil {
			return err
		}
	}
	return p.supervise(nil)
}

// Exec starts any program on this rank. It returns only when that failed, or when the program has failed under a launcher that takes no
// notice.
func (o Options) Exec(s command.Surroundings) error {
	p, err := o.obtain(s, false, nil)
	if err != nil {
		return err
	}
	if wire := findAbortWire(s.Launcher); wire != nil {
		return p.supervise(wire)
	}
	return p.become()
}

// Server is where masters find the workers that a program serves with, and for how long.
type Server struct {
	Place mpilink.Place
	Bind  string // the address for masters on other hosts
	Keep  bool   // serve one master after another
}

// Serve starts a program as a server on this rank. It returns only when that failed.
func (o Options) Serve(s command.Surroundings, at Server) error {
	p, err := o.obtain(s, true, func(ctx context.Context) error {
		err := finished(ctx, o.Wait, fileGrace, "looking for the name server", func() error { return servable(s.Launcher) })
		if err != nil && !command.Speaks(s.Launcher) {
			return &command.SilentError{}
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := os.Setenv(serveVariable, at.Place.String()); err != nil {
		return err
	}
	if at.Keep {
		if err := os.Setenv(keepVariable, "1"); err != nil {
			return err
		}
	}
	if err := os.Setenv(bindVariable, at.Bind); err != nil {
		return err
	}
	return p.become()
}

// obtain finds the target and provides its program, unless before, which may be nil, refuses. A signal ends it.
func (o *Options) obtain(s command.Surroundings, workers bool, before func(context.Context) error) (p *program, err error) {
	ctx, stop := command.UntilSignal()
	defer func() {
		if stop(&err); err != nil && p != nil { // a signal has come when it was there
			p.leave()
		}
	}()
	t, err := o.find(ctx, s)
	if err != nil {
		return nil, err
	}
	if before != nil {
		if err := before(ctx); err != nil {
			return nil, err
		}
	}
	return o.provide(ctx, s, t, workers)
}

// servable refuses what cannot be a server, before anything is built.
func servable(l mpi.Launcher) error {
	m, later := mpi.FindMeeting(os.LookupEnv)
	switch {
	case !l.Found():
		return fmt.Errorf("serve: a server is a job of its own: start it with `mpiexec %s -n N rankpool serve PROGRAM`%s; "+
			"without an mpiexec, programs use processes of this machine by themselves (rankpool run)", m.Option, later)
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
		return fmt.Errorf("serve: this job was started without a name server, by which Open MPI connects programs that were started "+
			"apart: start one, once, with `%s`, and this job with `mpiexec %s`", m.Server, m.Option)
	}
	return nil
}
