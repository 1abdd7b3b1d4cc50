package mpi

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/mpi/abi"
)

// Comm is a communicator. Its methods may be called together, but MPI wants collective ones (those that make or free
// communicators, and the functions of coll.go) in the same order on every rank. Whoever makes one frees it.
type Comm struct {
	handle uintptr
	about  description
	owned  bool
	gone   atomic.Bool

	asEmpi struct {
		sync.Mutex
		comm  any     // what Empi has handed out
		group uintptr // that it has
	}
}

// description is what never changes about a communicator.
type description struct {
	rank, size, remote, maxTag int
	inter                      bool
}

// liveComms counts communicators that were made here and not freed.
var liveComms atomic.Int64

// LiveComms returns how many communicators this package has made and nobody has freed yet.
func LiveComms() int { return int(liveComms.Load()) }

// World returns MPI_COMM_WORLD. It is not to be freed.
func World() (*Comm, error) { return known(rawWorld) }

// Self returns MPI_COMM_SELF. It is not to be freed.
func Self() (*Comm, error) { return known(rawSelf) }

func known(handle func() uintptr) (*Comm, error) {
	if err := enter(); err != nil {
		return nil, err
	}
	defer leave()
	return describe(handle(), false)
}

// Parent returns the intercommunicator to the processes that spawned this one, or nil and no error when nobody did.
func Parent() (*Comm, error) {
	if err := enter(); err != nil {
		return nil, err
	}
	defer leave()
	h, code := rawParent()
	if err := failure("MPI_Comm_get_parent", code); err != nil || h == 0 {
		return nil, err
	}
	return describe(h, false)
}

// describe wraps a handle. The caller is inside enter and leave.
func describe(h uintptr, owned bool) (*Comm, error) {
	d, code := rawDescribe(h)
	if err := failure("MPI_Comm_rank", code); err != nil {
		return nil, err
	}
	if owned {
		liveComms.Add(1)
	}
	return &Comm{handle: h, about: d, owned: owned}, nil
}

// begin is enter for a call on c.
func (c *Comm) begin(op string) error {
	if err := enter(); err != nil {
		return err
	}
	if c == nil || c.handle == 0 || c.gone.Load() {
		leave()
		return fmt.Errorf("%w (%s)", ErrFreed, op)
	}
	return nil
}

// Rank is this process's number in the (local) group.
func (c *Comm) Rank() int { return c.about.rank }

// identities are the numbers of communicators, and the key of the attribute that has them; made tells that there is a key.
var identities struct {
	sync.Mutex
	made bool
	key  int32
	last uintptr
}

// Identity returns a number that no other communicator has had in this process, and that all handles of c have in common. A handle is no such
// number: the library gives that of a communicator that was freed to a new one. The number is an attribute of the communicator, so it is
// freed with it, and a duplicate has another one. It waits for nobody.
func (c *Comm) Identity() (uintptr, error) {
	if err := c.begin("MPI_Comm_get_attr"); err != nil {
		return 0, err
	}
	defer leave()
	identities.Lock()
	defer identities.Unlock()
	if !identities.made {
		key, code := rawKey()
		if err := failure("MPI_Comm_create_keyval", code); err != nil {
			return 0, err
		}
		identities.key, identities.made = key, true
	}
	n, found, code := rawMark(c.handle, identities.key)
	if err := failure("MPI_Comm_get_attr", code); err != nil || found {
		return n, err
	}
	identities.last++
	return identities.last, failure("MPI_Comm_set_attr", rawSetMark(c.handle, identities.key, identities.last))
}

// Handle returns the library's own MPI_Comm, and the interface that it belongs to. In MPICH's it is an int, here without a sign.
func (c *Comm) Handle() (uintptr, abi.Interface, error) {
	if err := c.begin("Handle"); err != nil {
		return 0, abi.Unknown, err
	}
	defer leave()
	switch face := rawInterface(); face {
	case abi.Unknown:
		return 0, face, fmt.Errorf("mpi: the binary interface of %s is not known", named(rawLibrary()))
	case abi.MPICH:
		return uintptr(uint32(c.handle)), face, nil
	default:
		return c.handle, face, nil
	}
}

// Size is how many processes the (local) group has.
func (c *Comm) Size() int { return c.about.size }

// IsInter tells whether c is an intercommunicator: messages then go to the remote group's ranks.
func (c *Comm) IsInter() bool { return c.about.inter }

// RemoteSize is how many processes the other group of an intercommunicator has; 0 for an intracommunicator.
func (c *Comm) RemoteSize() int { return c.about.remote }

// MaxTag is the largest tag.
func (c *Comm) MaxTag() int { return c.about.maxTag }

// peers is how many processes a message can go to.
func (c *Comm) peers() int {
	if c.about.inter {
		return c.about.remote
	}
	return c.about.size
}

// String describes the communicator for a log.
func (c *Comm) String() string {
	if c.about.inter {
		return fmt.Sprintf("rank %d of %d, with %d remote", c.about.rank, c.about.size, c.about.remote)
	}
	return fmt.Sprintf("rank %d of %d", c.about.rank, c.about.size)
}

// made runs a constructor. A rank that is left out gets nil and no error.
func (c *Comm) made(op string, f func() (uintptr, int)) (*Comm, error) {
	if err := c.begin(op); err != nil {
		return nil, err
	}
	defer leave()
	h, code := f()
	if err := failure(op, code); err != nil || h == 0 {
		return nil, err
	}
	return describe(h, true)
}

// madeAlone is made for a constructor that runs beside no other call.
func (c *Comm) madeAlone(op string, f func() (uintptr, int)) (*Comm, error) {
	if err := c.begin(op); err != nil {
		return nil, err
	}
	release := alone()
	defer release()
	h, code := f()
	if err := failure(op, code); err != nil || h == 0 {
		return nil, err
	}
	return describe(h, true)
}

// Dup returns a communicator over the same processes whose messages never meet those of c. Collective over c; blocks
// until every rank has called it.
func (c *Comm) Dup() (*Comm, error) {
	return c.made("MPI_Comm_dup", func() (uintptr, int) { return rawDup(c.handle) })
}

// Split returns a communicator of those ranks that gave the same color, ordered by key, then by rank. A rank that gives
// a negative color is in none and gets nil. Collective over c; blocks until every rank has called it.
func (c *Comm) Split(color, key int) (*Comm, error) {
	return c.made("MPI_Comm_split", func() (uintptr, int) { return rawSplit(c.handle, color, key) })
}

// SplitHost returns a communicator of the ranks on this host. Collective over c; blocks until every rank has called it.
func (c *Comm) SplitHost(key int) (*Comm, error) {
	return c.made("MPI_Comm_split_type", func() (uintptr, int) { return rawSplitHost(c.handle, key) })
}

// CreateGroup returns a communicator of the given ranks of c, in their order. Only those ranks call it, all with the same
// ranks and tag; it blocks until they have.
func (c *Comm) CreateGroup(ranks []int, tag int) (*Comm, error) {
	const op = "MPI_Comm_create_group"
	if c != nil {
		for _, r := range ranks {
			if r < 0 || r >= c.about.size {
				return nil, invalid(op, ClassRank, "rank %d is not in 0..%d", r, c.about.size-1)
			}
		}
	}
	return c.made(op, func() (uintptr, int) { return rawCreateGroup(c.handle, ranks, tag) })
}

// RanksIn returns the numbers that the ranks of c, an intracommunicator, have in another one; -1 for one that is not in there.
func (c *Comm) RanksIn(other *Comm) ([]int, error) {
	const op = "MPI_Group_translate_ranks"
	if err := c.begin(op); err != nil {
		return nil, err
	}
	defer leave()
	if other == nil || other.handle == 0 || other.gone.Load() { // a second begin would wait for the first where calls come one at a time
		return nil, fmt.Errorf("%w (%s)", ErrFreed, op)
	}
	ranks := make([]int, c.about.size)
	return ranks, failure(op, rawRanksIn(c.handle, other.handle, ranks))
}

// CreateIntercomm joins the group of c with another one. localLeader is a rank of c; remoteLeader is the other group's
// leader as a rank of peer, which both leaders share and only they need to give. Collective over both groups; blocks
// until every rank has called it.
func (c *Comm) CreateIntercomm(localLeader int, peer *Comm, remoteLeader, tag int) (*Comm, error) {
	return c.made("MPI_Intercomm_create", func() (uintptr, int) {
		var p uintptr
		if peer != nil {
			p = peer.handle
		}
		return rawInterCreate(c.handle, localLeader, p, remoteLeader, tag)
	})
}

// Merge makes one group of an intercommunicator's two; the one that gives high comes second. Collective over both
// groups; blocks until every rank has called it.
func (c *Comm) Merge(high bool) (*Comm, error) {
	return c.made("MPI_Intercomm_merge", func() (uintptr, int) { return rawMerge(c.handle, high) })
}

// Free gives the communicator back. Collective over c. A second call, and a call on World, Self or a communicator that
// was handed in, does nothing.
func (c *Comm) Free() error { return c.end("MPI_Comm_free", rawFree) }

// Disconnect is Free that waits until all communication has ended, and cuts spawned processes loose from this job, so
// that either may finalize without the other. Collective over c.
func (c *Comm) Disconnect() error { return c.end("MPI_Comm_disconnect", rawDisconnect) }

// Revoke has every call on c fail, on all of its ranks, the calls that wait too, but for Free. It waits for nobody. It is for a
// communicator that has lost a rank, where TellsLosses says that the library can do it; MPI has it since no version.
func (c *Comm) Revoke() error {
	const op = "MPIX_Comm_revoke"
	if !TellsLosses() {
		return invalid(op, ClassComm, "this library cannot do it, or was told not to")
	}
	if err := c.begin(op); err != nil {
		return err
	}
	defer leave()
	return failure(op, rawRevoke(c.handle))
}

func (c *Comm) end(op string, f func(uintptr) int) error {
	if c == nil || c.gone.Load() {
		return nil
	}
	isParent := !c.owned && c.about.inter && op == "MPI_Comm_disconnect"
	if !c.owned && !isParent {
		return nil
	}
	if err := c.begin(op); err != nil {
		return err
	}
	release := leave
	if op == "MPI_Comm_disconnect" {
		release = alone()
	}
	defer release()
	if c.gone.Swap(true) {
		return nil
	}
	if c.owned {
		liveComms.Add(-1)
	}
	c.asEmpi.Lock()
	made, group := c.asEmpi.comm != nil, c.asEmpi.group
	c.asEmpi.Unlock()
	if made {
		if err := failure("MPI_Group_free", rawGroupFree(group)); err != nil {
			return err
		}
	}
	return failure(op, f(c.handle))
}
