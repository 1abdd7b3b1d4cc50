//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Run implements Job.
func (r *ranks) Run(p Program) int {
	if !launched() {
		return leaveMPI(p.Master())
	}
	if p.Everywhere {
		return onEveryRank(p)
	}
	if mpi.FindLauncher(os.LookupEnv).Rank > 0 { // it will serve, and MPI takes its time
		p.LeaveSignals()
		EmptyStdin()
	}
	serve, err := joinWorld(p)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
		here.Abort(ExitFailure)
		return ExitFailure
	}
	if serve != nil {
		return serve()
	}
	return leaveMPI(p.Master())
}

// joinWorld starts MPI. In a rank that is to serve it returns what to do; in the master it sees to the others.
func joinWorld(p Program) (serve func() int, err error) {
	env, limit, err := startTogether()
	if err != nil {
		return nil, err
	}
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	options.Notes = env.Warnings
	parent, err := mpi.Parent()
	if err != nil {
		return nil, err
	}
	world, err := mpi.World()
	if err != nil {
		return nil, err
	}
	if parent != nil {
		return func() int { return serveRank(p, parent, options, world.Rank(), true) }, nil
	}
	if world.Size() == 1 {
		return nil, nil
	}
	c, err := dup(world, limit)
	if err != nil {
		return nil, err
	}
	if world.Rank() > 0 {
		return func() int { return serveRank(p, c, options, world.Rank(), false) }, nil
	}
	hub, err := mpilink.Lead(c, options)
	here.Lock()
	here.shared = hub
	here.Unlock()
	return nil, err
}

// serveRank serves until the master says goodbye, and leaves the
func serveRank(p Program, c *mpi.Comm, o mpilink.Options, rank int, spawned bool) int {
	here.Lock()
	here.serves = true
	here.Unlock()
	p.LeaveSignals()
	if spawned { // its number does not tell it from a master
		EmptyStdin()
	}

	svc := p.Service()
	svc.Hello.Rank = rank
	svc.Turn = new(dispatch.Lease).Seat
	profiles := profileRank(rank, &o)
	err := mpilink.Serve(c, o, Serving(svc))
	endProfile(profiles, rank) // before MPI ends, and perhaps the process with it
	ctx, cancel := context.WithTimeout(context.Background(), followLimit)
	defer cancel()
	if err == nil && mpi.Lost() { // MPI cannot be left in good order any more
		return 0
	}
	if err == nil && spawned {
		err = mpilink.Disconnect(ctx, c)
	}
	if err == nil {
		err = mpi.Finalize(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rankpool: rank %d: %v\n", rank, err)
		switch {
		case errors.Is(err, mpilink.ErrMasterSilent):
			return ExitFailure
		case errors.Is(err, mpilink.ErrMasterEnded) && mpi.LaunchedByPRRTE(os.LookupEnv):
			return ExitFailure // each of the others notices it too; several aborts at once have made prterun 3.0.8 wait for its own lock without end
		}
		here.Abort(ExitFailure)
		return ExitFailure
	}
	return 0
}

// leaveMPI lets the ranks go and ends MPI, if it was started. When a rank does not answer the job is aborted: waiting for
// it would last without end.
func leaveMPI(status int) int {
	if !mpi.Started() {
		return status
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	here.Lock()
	hub := here.shared
	here.Unlock()
	err := mpilink.Settle(ctx)
	if err == nil && hub != nil {
		err = hub.Close(ctx)
	}
	printNotes()
	if err == nil {
		err = mpi.Finalize(ctx)
	}
	if l := LauncherLoss(); l != nil {
		l.Review()
	}
	switch {
	case err == nil:
		return status
	case errors.Is(err, mpi.ErrLost) && !mpilink.MayStillRun():
		return leaveWithoutMPI(status)
	}
	fmt.Fprintln(os.Stderr, "rankpool: the job is aborted:", err)
	here.Abort(max(status, ExitFailure))
	return max(status, ExitFailure)
}

// lostTogether says what to do where the launcher may have ended several ranks because one was lost, or nothing.
func lostTogether() string {
	n, _ := mpilink.Losses()
	if n < 2 {
		return ""
	}
	how := leaveAdvice()
	if how == "" {
		return ""
	}
	return fmt.Sprintf("%d ranks were lost: a launcher ends the others with the first unless it was told to leave them alone, by %s", n, how)
}

// leaveWithoutMPI is the end of a job whose lost ranks are known to have ended, when all others have said goodbye. It returns the
// exit status.
func leaveWithoutMPI(status int) int {
	fmt.Fprintln(os.Stderr, "rankpool: warning: ranks were lost, so this job ends without MPI_Finalize; the launcher may report a status of its own")
	if text := lostTogether(); text != "" {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", text)
	}
	switch l := mpi.FindLauncher(os.LookupEnv); {
	case l.Family == mpi.OpenMPI && mpilink.OnOtherHosts() && !mpi.LaunchedByPRRTE(os.LookupEnv): // its mpiexec would wait without end, before version 5
		time.Sleep(PrintPause)
		_ = mpi.Abort(status)
	case l.Srun():
		time.Sleep(PrintPause)
	}
	return status
}
