package futures

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
)

// Communicator is an MPI communicator: a *Comm of github.com/emer/empi/mpi. It is an interface so that programs that do not use that
// package do not link it.
type Communicator interface {
	Rank() int // of this process
	Size() int // how many ranks there are
}

// MPICommExecutor makes the ranks of a communicator (nil: of the world) serve one of them for a while, in a program that runs on all of
// them: see [github.com/rankpool/rankpool/spmd]. All ranks of the communicator call it, with the same root. Root calls body with an
// executor whose workers are the other ranks, in their order. The other ranks call nothing, and serve until that executor has been closed.
// Then all go on. It may be called again afterwards, with another root or another communicator.
//
// The executor is started at once. When body returns nil, the queue is finished and the executor is closed. When body returns an error or
// panics, queued calls are cancelled. Running tasks may finish within [WithDrainGrace]; root waits for them, because their ranks go on
// together with it. [WithDir] and [WithEnv] apply to the ranks as long as they serve.
//
// Root waits for the other ranks as long as they live, so one may come hours after the others; [WithStartTimeout] sets a limit. The other
// ranks wait for root until ctx ends. A rank that has come to the end of its program, or whose process has ended on this host, is an error
// and not waited for. MPI cannot be left in good order after that, so the job may end with a status of the launcher's.
//
// A communicator of one rank, of whatever kind, has one worker, a goroutine, with MPI and without. In a task the same is true of the world,
// or nil, which is the task's worker alone. In the master of a program with [Main], whose ranks serve all the time, the executor shares
// these ranks like any other, with root 0 and the world; another communicator is an error.
//
// These errors are the same on all ranks: c is no MPI communicator, it is an intercommunicator, or root is out of range. Root also returns
// the errors of the options and of body. At root it is an error if the ranks of the communicator serve already, under whatever handle: from
// a call until they have been let go, even if that call has given up because its ctx ended. A communicator that has lost a rank, or whose
// ranks have failed to meet, cannot be used again.
func MPICommExecutor(ctx context.Context, c Communicator, root int, body func(ctx context.Context, ex Executor) error, opts ...Option) error {
	if body == nil {
		return errors.New("futures: MPICommExecutor: the function is nil")
	}
	if !life.Began() {
		return errors.New("futures: MPICommExecutor: call it in the function given to spmd.Main, which runs on every rank")
	}
	within, err := communicator(c)
	if err != nil {
		return fmt.Errorf("futures: %s: %w", commClass, err)
	}
	if root < 0 || root >= within.Size() {
		return fmt.Errorf("futures: %s: root %d is out of range: the communicator has %d ranks", commClass, root, within.Size())
	}
	if life.InWorker() && within.World() {
		within, root = job.Alone, 0
	}
	switch shared := within.World() && root == 0; {
	case within.Size() == 1 || life.Everywhere() || life.InWorker():
	case !shared:
		return fmt.Errorf("futures: %s: the other ranks serve rank 0 all the time, because the program has called futures.Main: leave the "+
			"communicator and the root at nil and 0, or have every rank run the program, with spmd.Main", commClass)
	default:
		return withShared(ctx, body, opts)
	}
	if within.Rank() != root {
		return serveRoot(ctx, within, root)
	}
	return atRoot(ctx, within, body, opts)
}

// commClass is what errors call the executor.
const commClass = "MPICommExecutor"

// communicator looks at a communicator. The world of a task is its worker alone, which MPI need not be asked about.
func communicator(c Communicator) (job.Comm, error) {
	var given any = c
	if v := reflect.ValueOf(c); v.IsValid() && v.Kind() == reflect.Pointer && v.IsNil() {
		given = nil
	}
	if given == nil && life.InWorker() {
		return job.Alone, nil
	}
	return job.This.Comm(given)
}

// withShared runs body in a program whose ranks are the workers of all its executors.
func withShared(ctx context.Context, body func(ctx context.Context, ex Executor) error, opts []Option) error {
	ex := &MPIPoolExecutor{}
	err := ex.init(mpiClass, commClass, opts)
	if err == nil {
		err = ex.Start()
	}
	if err != nil {
		return err
	}
	return ex.runAndClose(ctx, body)
}

// serveRoot has this rank serve until root lets it go.
func serveRoot(ctx context.Context, within job.Comm, root int) error {
	defer life.Serving()()
	var v visit
	defer v.end()
	if err := within.Serve(ctx, job.Program{Service: v.service}, root); err != nil {
		return fmt.Errorf("futures: %s: %w", commClass, err)
	}
	return nil
}

// atRoot runs body with an executor whose workers are the other ranks.
func atRoot(ctx context.Context, within job.Comm, body func(ctx context.Context, ex Executor) error, opts []Option) error {
	if err := within.Enter(); err != nil {
		return fmt.Errorf("futures: %s: %w", commClass, err)
	}
	ex := &MPIPoolExecutor{}
	ex.comm = within
	err := ex.init(mpiClass, commClass, opts)
	if err == nil {
		err = ex.Start()
	}
	if err != nil { // the others have entered, or will: they must not wait without end
		return errors.Join(err, within.LetGo(ctx))
	}
	return ex.runAndClose(ctx, body)
}

// runAndClose calls body and closes the executor, as the end of body asks for.
func (ex *MPIPoolExecutor) runAndClose(ctx context.Context, body func(ctx context.Context, ex Executor) error) error {
	returned := false
	defer func() {
		if !returned { // body has panicked: the others must not serve on
			_ = ex.giveUp(ctx)
		}
	}()
	err := body(ctx, ex)
	returned = true
	if err != nil {
		return errors.Join(err, ex.giveUp(ctx))
	}
	return ex.Close()
}
