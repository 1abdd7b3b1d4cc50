package mpilink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/mpi"
)

// nativeTags are where the tags of the calls that make the workers' communicators begin, and how many there are.
const nativeTags, nativeRoom = 1 << 10, 1 << 14

// Native returns an *mpi.Comm of the group's workers, in the order of their slots.
func (e *endpoint) Native(absent []int) (any, error) {
	e.native.Lock()
	defer e.native.Unlock()
	if !slices.Equal(absent, e.native.absent) {
		e.native.absent, e.native.comm, e.native.err = absent, nil, nil // not freed: those that are absent cannot take part
	}
	if e.native.comm == nil && e.native.err == nil {
		e.native.comm, e.native.err = e.makeNative(absent)
	}
	return e.native.comm, e.native.err
}

func (e *endpoint) makeNative(absent []int) (*mpi.Comm, error) {
	if !e.whole {
		return nil, errors.New("its workers are not one on each rank")
	}
	env, err := mpi.Init(mpi.Options{})
	if err != nil {
		return nil, err
	}
	if env.Level < mpi.Multiple {
		return nil, fmt.Errorf("MPI gives %v here, and tasks that call MPI beside the pool need %v", env.Level, mpi.Multiple)
	}
	c, first := e.rank.port.Comm(), 1 // rank 0 is the master
	if c.IsInter() {
		if c, err = mpi.World(); err != nil {
			return nil, err
		}
		first = 0
	}
	var ranks []int
	slot := 0
	for peer := first; peer < c.Size(); peer++ {
		if slices.Contains(e.missing, peer) {
			continue
		}
		if !slices.Contains(absent, slot) {
			ranks = append(ranks, peer)
		}
		slot++
	}
	// Other groups may be at it on the same ranks.
	return c.CreateGroup(ranks, nativeTags+int(e.group%nativeRoom))
}

// BreakNative revokes the communicator. The first worker that does so wakes all.
func (e *endpoint) BreakNative() {
	e.native.Lock()
	defer e.native.Unlock()
	if e.native.comm == nil {
		return
	}
	_ = e.native.comm.Revoke() // a worker that has failed to do it may be woken by another
	e.native.comm, e.native.err = nil, errors.New("one of its workers was lost")
}

// Breaks implements link.Breaker: revoking is a matter of the library, which is the same on all ranks.
func (g *Group) Breaks() bool { return mpi.TellsLosses() }

// freeNative ends what Native has made. It does not wait for the other workers.
func (e *endpoint) freeNative() {
	if !e.native.TryLock() {
		return // a task that was abandoned makes it
	}
	defer e.native.Unlock()
	if e.native.comm != nil {
		_ = free(e.native.comm) // nobody can do anything about a failure
		e.native.comm, e.native.err = nil, errors.New("the worker has ended")
	}
}
