package futures

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
)

// Communicator is a communicator of MPI: a *Comm of github.com/emer/empi/mpi, in a program that uses that. It is an interface so that
// others do not link it.
type Communicator interface {
	Rank() int // of this process
	Size() int // how many ranks there are
}

// MPICommExecutor has the ranks of a communicator (nil: of the world) serve one of them for a
// while, in a program that runs on all of them: see [github.com/rankpool/rankpool/spmd]. All ranks of the communicator call it,
// with the same root. At root, body is called with an executor whose workers are the other ranks, in their order; elsewhere nothing is
// called, and the rank serves until that executor has been closed. Then all go on. It may be called again, with another
// root or another communicator, one after the other.
//
// The executor is started at once. When body returns nil, what is queued is finished and the executor is closed. When
// body returns an error or panics, what is queued is cancelled; what runs may finish within [WithDrainGrace], and is waited for, since
// its ranks go on with this one. A communicator of one rank has one worker, a goroutine.
//
// Root waits for the other ranks as long as the start may take ([WithStartTimeout]); the other ranks wait for root until ctx ends.
//
// The errors, the same on all ranks: something else than a communicator of MPI, an intercommunicator, then a root out
// of range; at root those of the options and of body.
func MPICommExecutor(ctx context.Context, c Communicator, root int, body func(ctx context.Context, ex Executor) error, opts ...Option) error {
	const name = "MPICommExecutor"
	if body == nil {
		return errors.New("futures: MPICommExecutor: the function is nil")
	}
	if !life.Began() {
		return errors.New("futures: MPICommExecutor: call it in the function given to spmd.Main, which runs on every rank")
	}
	var given any = c
	if v := reflect.ValueOf(c); v.IsValid() && v.Kind() == reflect.Pointer && v.IsNil() {
		given = nil
	}
	within, err := job.This.Comm(given)
	if err != nil {
		return fmt.Errorf("futures: %s: %w", name, err)
	}
	if root < 0 || root >= within.Size() {
		return fmt.Errorf("futures: %s: root %d is out of range: the communicator has %d ranks", name, root, within.Size())
	}
	if within.Rank() != root {
		defer life.Serving()()
		if err := within.Serve(ctx, job.Program{Service: processService}, root); err != nil {
			return fmt.Errorf("futures: %s: %w", name, err)
		}
		return nil
	}
	leave, err := within.Enter()
	if err != nil {
		return fmt.Errorf("futures: %s: %w", name, err)
	}
	defer leave()
	ex := &MPIPoolExecutor{}
	ex.comm = within
	err = ex.init(mpiClass, name, opts)
	if err == nil {
		err = ex.Start()
	}
	if err != nil { // the others have entered, or will: they must not wait without end
		return errors.Join(err, within.LetGo(ctx))
	}
	returned := false
	defer func() {
		if !returned { // body has panicked: the others must not serve on
			_ = ex.giveUp(ctx)
		}
	}()
	err = body(ctx, ex)
	returned = true
	if err != nil {
		return errors.Join(err, ex.giveUp(ctx))
	}
	return ex.Close()
}
