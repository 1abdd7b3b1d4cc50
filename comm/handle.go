package comm

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/abi"
)

// ABI is a binary interface of MPI libraries. It determines what an MPI_Comm is, and which libraries take it.
type ABI int

// The interfaces.
const (
	MPICH   ABI = iota + 1 // of MPICH since 3.1, Intel MPI, MVAPICH and Cray MPICH: an MPI_Comm is an int
	OpenMPI                // of Open MPI: an MPI_Comm is an address
	MPI5                   // of libmpi_abi, defined in chapter 20 of MPI 5.0: an MPI_Comm has the size of an address
)

// String is the name of the interface.
func (a ABI) String() string {
	switch a {
	case MPICH:
		return "MPICH"
	case OpenMPI:
		return "Open MPI"
	case MPI5:
		return "MPI 5"
	}
	return fmt.Sprintf("ABI(%d)", int(a))
}

// Handle is a communicator of MPI itself, for another binding of MPI or for C. It is valid only for the MPI library of this process: do not
// send it to another process. The zero value is no communicator.
//
// Under [MPICH] its number is the int that an MPI_Comm is there: convert it by int32(h.Comm). Under the others it is the MPI_Comm itself:
// C.MPI_Comm(unsafe.Pointer(h.Comm)) with cgo. A binding that is compiled for another interface than h.ABI cannot use it. The binding must
// call the library that the process has loaded already. One that calls MPI_Init finds it initialised.
//
// Do not free the communicator. Its errors are returned, not fatal. Any goroutine may call MPI on it while the pool does: a Handle is only
// given with MPI_THREAD_MULTIPLE.
type Handle struct {
	Comm uintptr
	ABI  ABI
}

// ErrNoHandle is the error of [Comm.Handle], [WorldHandle], mpicomm.Workers and mpicomm.Of if no MPI runs in this process.
var ErrNoHandle = errors.New("no MPI")

// Handle returns an MPI communicator with the ranks of c, and no others. Its messages never meet the pool's. The tasks of all ranks call it,
// and the first call waits for all of them. Further calls return the same. The handle may be used until the task returns, which must have
// received everything by then.
//
// The communicator of all workers is kept for later tasks: ctx ends the wait for the master's consent, but not that for the other workers.
// In a gang of fewer workers (futures.OnWorkers), and for a communicator of [Comm.Split] or [Comm.Dup], it is made of these ranks alone and
// freed when the task returns, unless it has failed or its context has ended: what was sent to it must not meet a later communicator, so MPI
// keeps that one until the rank ends ([MPICH] has room for some 2,000). Here ctx ends the wait for ranks that have not called Handle, and so
// does the end of one of their tasks: the error matches futures.ErrBroken. With slots (futures.WithSlots) no two ranks of c may be on one
// rank of MPI.
//
// When a worker is lost while tasks on others hold the handle of a communicator that it is in, all calls on it fail, including those that
// wait, if the library has failure mitigation: Open MPI since version 5, but not under srun. With other libraries the whole job ends, with a
// message. With every library the job ends when a worker is lost while the communicator is being made. That begins for all workers with the
// first call, and otherwise when all ranks have called Handle. After a loss Open MPI 5 makes no further communicator of spawned workers. MPI
// does not notice that a task has returned for which others wait. The loss of a worker whose task has returned counts too, as long as a task
// of another rank runs: what it had sent may not have arrived. Package mpicomm gives the same communicator as one of
// github.com/emer/empi.
//
// A task keeps every communicator that it has asked for until it returns, and there is no call that frees one earlier: MPI would give its
// context to the next one, which would receive what this one has not. A task that makes many should make them once and use them again.
//
// The error matches [ErrNoHandle] if the workers are not ranks of an MPI job. A communicator of [Comm.Split] or [Comm.Dup] has no handle outside of
// futures.SubmitEach, for tasks of Submit are not told when one of the others has ended; the error names SubmitEach. That of [Workers] has one
// there too.
func (c *Comm) Handle(ctx context.Context) (Handle, error) {
	own, err := c.native(ctx)
	if err != nil {
		return Handle{}, fmt.Errorf("comm: Handle: %w", err)
	}
	return handleOf(own)
}

// native returns the communicator that MPI has for c.
func (c *Comm) native(ctx context.Context) (*mpi.Comm, error) {
	if c.none() {
		return nil, errNone
	}
	var ranks []int
	if c.group != nil {
		ranks = c.group.peers
	}
	native, err := c.peers.Native(ctx, c.number(), ranks)
	if errors.Is(err, dispatch.ErrNotNative) {
		return nil, fmt.Errorf("%w: the workers are not ranks of an MPI job: start the program with mpiexec, or use the operations of package comm, "+
			"which work with any workers", ErrNoHandle)
	}
	if err != nil {
		return nil, err
	}
	own, ok := native.(*mpi.Comm)
	if !ok {
		return nil, fmt.Errorf("%w: the workers are connected by %T", ErrNoHandle, native)
	}
	return own, nil
}

func init() {
	mpi.OfComm = func(ctx context.Context, c any) (*mpi.Comm, error) { return c.(*Comm).native(ctx) }
}

// WorldHandle returns MPI_COMM_WORLD, in the master and in workers that are ranks, in a task or outside of one. The pool's own messages
// travel over copies of it, so they do not meet. It may be used until futures.Main ends. WorldHandle does not block and does not start MPI:
// if MPI does not run in this process, as in local processes and before futures.Main, the error matches [ErrNoHandle].
//
// The pool does not see ranks that wait for each other over this communicator, and does not end the wait when one of them is lost.
func WorldHandle() (Handle, error) {
	if !mpi.Started() {
		return Handle{}, fmt.Errorf("comm: WorldHandle: %w runs in this process: build it with the tag mpi and start it with mpiexec", ErrNoHandle)
	}
	if env, err := mpi.Init(mpi.Options{}); err != nil || env.Level < mpi.Multiple {
		if err == nil {
			err = fmt.Errorf("MPI gives %v here, and code that calls it beside the pool needs %v", env.Level, mpi.Multiple)
		}
		return Handle{}, fmt.Errorf("comm: WorldHandle: %w", err)
	}
	world, err := mpi.World()
	if err != nil {
		return Handle{}, fmt.Errorf("comm: WorldHandle: %w", err)
	}
	return handleOf(world)
}

func handleOf(c *mpi.Comm) (Handle, error) {
	raw, face, err := c.Handle()
	if err != nil {
		return Handle{}, fmt.Errorf("comm: %w", err)
	}
	return Handle{Comm: raw, ABI: map[abi.Interface]ABI{abi.MPICH: MPICH, abi.OpenMPI: OpenMPI, abi.Standard: MPI5}[face]}, nil
}
