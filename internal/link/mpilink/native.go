package mpilink

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/mpi"
)

// The tags of the calls that make communicators: a group has one for that of all its workers, and several for the others.
const (
	nativeTags, nativeRoom = 1 << 10, 1 << 14
	ownTags                = nativeTags + nativeRoom
	ownEach                = 1 << 8 // more than two ranks can be making together at any time
)

// Native returns an *mpi.Comm of the workers in these slots, in their order.
func (e *endpoint) Native(serial uint64, slots []int) (any, error) {
	if serial > 0 {
		return e.owned.make(serial, func() (*mpi.Comm, error) { return e.makeNative(serial, slots) })
	}
	e.native.Lock()
	defer e.native.Unlock()
	if !slices.Equal(slots, e.native.slots) {
		e.native.slots, e.native.comm, e.native.err = slots, nil, nil // not freed: those that are absent now cannot take part
	}
	if e.native.comm == nil && e.native.err == nil {
		e.native.comm, e.native.err = e.makeNative(0, slots)
	}
	return e.native.comm, e.native.err
}

func (e *endpoint) makeNative(serial uint64, slots []int) (*mpi.Comm, error) {
	if !e.ordered {
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
	ranks, err := e.ranksOf(slots, first, c.Size())
	if err != nil {
		return nil, err
	}
	// Other groups, and other workers of this one, may be at it on the same ranks.
	return c.CreateGroup(ranks, nativeTag(e.group, serial, c.MaxTag()))
}

// nativeTag is the tag by which a group makes a communicator. Those that two ranks may make at the same time have different ones.
func nativeTag(group, serial uint64, most int) int {
	if serial == 0 {
		return nativeTags + int(group%nativeRoom)
	}
	groups := uint64(most-ownTags+1) / ownEach // MPI's least is 32767
	return ownTags + int(group%groups*ownEach+serial%ownEach)
}

// ranksOf returns the ranks of slots, of those from first to size that were there when the group was opened.
func (e *endpoint) ranksOf(slots []int, first, size int) (ranks []int, err error) {
	var there []int
	for peer := first; peer < size; peer++ {
		if !slices.Contains(e.missing, peer) {
			there = append(there, peer)
		}
	}
	for _, slot := range slots {
		i := slot / max(e.siblings, 1)
		if i >= len(there) || slices.Contains(ranks, there[i]) {
			return nil, fmt.Errorf("its workers %v are not one on each rank", slots)
		}
		ranks = append(ranks, there[i])
	}
	return ranks, nil
}

var errNativeLost = errors.New("one of its workers was lost")

// BreakNative revokes the communicator. The first worker that does so wakes all.
func (e *endpoint) BreakNative(serial uint64) {
	if serial > 0 {
		e.owned.revoke(serial)
		return
	}
	e.native.Lock()
	defer e.native.Unlock()
	if e.native.comm == nil {
		return
	}
	_ = e.native.comm.Revoke() // a worker that has failed to do it may be woken by another
	e.native.comm, e.native.err = nil, errNativeLost
}

// FreeNative frees the communicator. MPI gives its context to another one then, which would receive what has been sent to this rank and was not
// received. So one that may have such messages is never freed.
func (e *endpoint) FreeNative(serial uint64, received bool) { e.owned.end(serial, received) }

// Breaks implements link.Breaker: revoking is a matter of the library, which is the same on all ranks.
func (g *Group) Breaks() bool { return mpi.TellsLosses() }

// freeNative ends what Native has made for all workers. It does not wait for them.
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

// natives are the communicators that a worker has for one task each, by their serials.
type natives struct {
	mu  sync.Mutex
	all map[uint64]*owned
}

// owned is a communicator for one task.
type owned struct {
	made bool
	over bool      // its task has ended
	kept bool      // it is not freed then, for there may be messages in it
	comm *mpi.Comm // nil until it is made, and if that has failed, or it is revoked
}

// of returns that of a serial. The lock is held.
func (n *natives) of(serial uint64) *owned {
	o := n.all[serial]
	if o == nil {
		if n.all == nil {
			n.all = map[uint64]*owned{}
		}
		o = new(owned)
		n.all[serial] = o
	}
	return o
}

// make makes that of a serial. It is called once for each.
func (n *natives) make(serial uint64, create func() (*mpi.Comm, error)) (any, error) {
	c, err := create()
	n.mu.Lock()
	o := n.of(serial)
	o.made, o.comm = true, c
	over := o.over
	n.mu.Unlock()
	if over {
		n.drop(serial)
	}
	return c, err
}

// end says that the task has ended. It may be called before the one has been made.
func (n *natives) end(serial uint64, received bool) {
	n.mu.Lock()
	o := n.of(serial)
	o.over, o.kept = true, !received
	made := o.made
	n.mu.Unlock()
	if made { // else whoever makes it drops it
		n.drop(serial)
	}
}

// drop forgets that of a serial and frees it, unless it is to be kept.
func (n *natives) drop(serial uint64) {
	n.mu.Lock()
	o := n.all[serial]
	delete(n.all, serial)
	n.mu.Unlock()
	if o != nil && o.comm != nil && !o.kept {
		_ = free(o.comm) // nobody can do anything about a failure
	}
}

// revoke revokes that of a serial, which is not freed any more.
func (n *natives) revoke(serial uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o := n.all[serial]; o != nil && o.comm != nil {
		_ = o.comm.Revoke() // a worker that has failed to do it may be woken by another
		o.comm = nil
	}
}
