//go:build mpi && cgo

package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/mpi"
)

// hasWorld tells whether this process is the master of a world with other ranks, which go before a service (E18).
func hasWorld() bool {
	ranks.Lock()
	defer ranks.Unlock()
	return ranks.shared != nil
}

// inWorkerOrWorld tells whether the environment's RANKPOOL_SERVICE is meant for another process than this one.
func inWorkerOrWorld() bool {
	ranks.Lock()
	defer ranks.Unlock()
	return ranks.serves || everywhere || proc.IsWorker()
}

// newServiceGroup makes the group of an executor whose workers serve at a place. MPI is initialised when it is opened, unless the
// program has a launcher: a program without one learns of the name server only then.
func (e *executor) newServiceGroup(place mpilink.Place) (link.Group, error) {
	if err := beMaster(); err != nil {
		return nil, err
	}
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	ranks.Lock()
	serves := ranks.serves
	ranks.Unlock()
	if serves {
		return nil, errors.New("futures: WithService: this process is a rank that serves a master; an executor in a task uses processes or threads")
	}
	c := mpilink.Connection{
		Config: mpilink.Config{Backoff: e.cfg.backoff}, Options: options, Place: place, Started: launched() || mpi.Started(),
		Init: func() error {
			_, err := startMPI()
			return err
		},
	}
	for key, value := range e.cfg.mpiInfo {
		c.Info = append(c.Info, mpi.InfoPair{Key: key, Value: value})
	}
	g := mpilink.NewConnected(c)
	e.help = g.Help
	return g, nil
}

// serveMasters is what a process does that `rankpool serve` has started: it serves masters instead of running its program (J01).
func serveMasters(s server, problem error) int {
	err := problem
	if err == nil {
		err = mpi.Connects()
	}
	if err == nil && !launched() {
		err = errors.New("a server is a job of its own: start it with `mpiexec --ompi-server file:URIFILE -n N rankpool serve PROGRAM`")
	}
	if err == nil {
		err = serveAt(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rankpool: serve:", err)
		abortJob(life.ExitFailure)
		return life.ExitFailure
	}
	return 0
}

func serveAt(s server) error {
	env, err := startMPI()
	if err != nil {
		return err
	}
	options, err := linkOptions()
	if err != nil {
		return err
	}
	options.Notes = env.Warnings
	world, err := mpi.World()
	if err != nil {
		return err
	}
	own, err := world.Dup()
	if err != nil {
		return err
	}
	ranks.Lock()
	ranks.serves = true
	ranks.Unlock()
	serving.Store(true)
	job.EmptyStdin()
	ctx := context.Background()
	if world.Rank() > 0 {
		life.IgnoreSignals()
	} else {
		ctx = untilTold()
	}
	svc := processService()
	svc.Hello.Rank = world.Rank()
	svc.Turn = new(sync.Mutex)
	err = mpilink.ServeMasters(ctx, mpilink.Service{
		Options: options, Place: s.place, Bind: s.bind, Keep: s.keep, World: own,
		Said: func(text string) { fmt.Fprintln(os.Stderr, "rankpool: serve:", text) },
	}, func(ep link.Endpoint) error { return dispatch.Serve(ep, svc) })
	if err != nil {
		return fmt.Errorf("rank %d: %w", world.Rank(), err)
	}
	last, cancel := context.WithTimeout(context.Background(), followLimit)
	defer cancel()
	return mpi.Finalize(last)
}

// untilTold returns a context that ends with the first SIGTERM or SIGINT, which a server heeds as soon as it serves no master. The
// second one ends the whole job at once.
func untilTold() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan os.Signal, 2)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-told
		cancel()
		<-told
		fmt.Fprintln(os.Stderr, "rankpool: serve: ended by a second signal")
		abortJob(life.ExitFailure)
		os.Exit(life.ExitFailure)
	}()
	return ctx
}
