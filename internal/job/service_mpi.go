//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Connect implements Job. MPI is initialised when the group is opened, unless the program has a launcher: a program without one
// learns of the name server only then.
func (r *ranks) Connect(q Request, place mpilink.Place) (Group, error) {
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	if r.Serves() {
		return nil, errors.New("futures: WithService: this process is a rank that serves a master; an executor in a task uses processes or threads")
	}
	c := mpilink.Connection{
		Config: q.config(), Options: options, Place: place, Started: launched() || mpi.Started(),
		Init: func() error {
			_, err := startMPI()
			return err
		},
	}
	for key, value := range q.Info {
		c.Info = append(c.Info, mpi.InfoPair{Key: key, Value: value})
	}
	return mpilink.NewConnected(c), nil
}

// ServeMasters implements Job.
func (r *ranks) ServeMasters(p Program, s Server) error {
	err := mpi.Connects()
	if err == nil && !launched() {
		m, later := mpi.FindMeeting(os.LookupEnv)
		err = fmt.Errorf("a server is a job of its own: start it with `mpiexec %s -n N rankpool serve PROGRAM`%s", m.Option, later)
	}
	if err == nil {
		err = serveAt(p, s)
	}
	return err
}

func serveAt(p Program, s Server) error {
	env, limit, err := startTogether()
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
	own, err := dup(world, limit)
	if err != nil {
		return err
	}
	here.Lock()
	here.serves = true
	here.Unlock()
	EmptyStdin()
	ctx := context.Background()
	if world.Rank() > 0 {
		p.LeaveSignals()
	} else {
		ctx = untilTold()
	}
	svc := p.Service()
	svc.Hello.Rank = world.Rank()
	svc.Turn = new(dispatch.Lease).Seat
	profiles := profileRank(world.Rank(), &options)
	err = mpilink.ServeMasters(ctx, mpilink.Service{
		Options: options, Place: s.Place, Bind: s.Bind, Keep: s.Keep, World: own,
		Said: func(text string) { fmt.Fprintln(os.Stderr, "rankpool: serve:", text) },
	}, Serving(svc))
	endProfile(profiles, world.Rank())
	if err != nil {
		return fmt.Errorf("rank %d: %w", world.Rank(), err)
	}
	last, cancel := context.WithTimeout(context.Background(), followLimit)
	defer cancel()
	return mpi.Finalize(last)
}

// untilTold returns a context that ends with the first SIGTERM or SIGINT, which a server obeys as soon as it serves no master. The
// second one ends the whole job at once.
func untilTold() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) { // as shells have it for what runs in the background
			signal.Notify(told, s)
		}
	}
	go func() {
		<-told
		cancel()
		<-told
		fmt.Fprintln(os.Stderr, "rankpool: serve: ended by a second signal")
		here.Abort(ExitFailure)
		os.Exit(ExitFailure)
	}()
	return ctx
}
