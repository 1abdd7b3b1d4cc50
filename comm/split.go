package comm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// group is what a communicator of Split or Dup has of its own.
type group struct {
	number uint64 // which its messages carry
	peers  []int  // by rank
	rank   int
	count  atomic.Uint64 // of collective operations
}

// Undefined is the color of a rank that belongs to none of the communicators that [Comm.Split] makes.
const Undefined = -1

// place is what a rank says to the others in a Split or Dup.
type place struct {
	Color, Key int
	Number     uint64 // for a communicator in which it is the first
}

// Split makes a communicator of the ranks that pass the same color, a number from 0. Its ranks are in the order of the keys, and for equal
// keys in the order of the ranks in c. A rank that passes [Undefined] gets nil, and no error. Split is a collective operation: the tasks of
// all ranks call it, and it blocks until they have, or until ctx ends.
//
// Messages of different communicators never meet, whatever their tags: [AnyTag] matches only those of its own. A communicator may be used
// until the task returns and need not be freed. It can be split and duplicated in turn. MPI 4.1, section 7.4.2: MPI_Comm_split.
func (c *Comm) Split(ctx context.Context, color, key int) (*Comm, error) {
	if color < Undefined {
		return nil, fmt.Errorf("comm: Split: color %d: a color is 0 or above, or Undefined", color)
	}
	return c.divide(ctx, splitVerb, color, key)
}

// Dup makes a communicator of the same ranks, so that a library can send messages that never meet those of its caller. It is a collective
// operation, as [Comm.Split] is. MPI 4.1, section 7.4.2: MPI_Comm_dup.
func (c *Comm) Dup(ctx context.Context) (*Comm, error) { return c.divide(ctx, dupVerb, 0, 0) }

func (c *Comm) divide(ctx context.Context, v verb, color, key int) (*Comm, error) {
	s, err := begin(ctx, c, v, 0)
	if err != nil {
		return nil, err
	}
	all, err := gather(s, place{color, key, c.peers.Number()}, 0)
	if err != nil {
		return nil, err
	}
	if all, err = bcast(s, all, 0); err != nil || color == Undefined {
		return nil, err
	}
	var members []int
	for r, p := range all {
		if p.Color == color {
			members = append(members, r)
		}
	}
	g := &group{number: all[members[0]].Number}
	slices.SortStableFunc(members, func(a, b int) int { return cmp.Compare(all[a].Key, all[b].Key) })
	g.rank = slices.Index(members, c.Rank())
	for _, r := range members {
		g.peers = append(g.peers, c.peer(r))
	}
	return &Comm{peers: c.peers, group: g}, nil
}

// next counts the collective operations.
func (c *Comm) next() uint64 {
	if c.group != nil {
		return c.group.count.Add(1)
	}
	return c.peers.Next()
}

// number is that of the communicator.
func (c *Comm) number() uint64 {
	if c.group != nil {
		return c.group.number
	}
	return 0
}

// peer returns which of the peers has a rank.
func (c *Comm) peer(rank int) int {
	if c.group != nil {
		return c.group.peers[rank]
	}
	return rank
}

// rankOf returns the rank of a peer.
func (c *Comm) rankOf(peer int) int {
	if c.group != nil {
		return slices.Index(c.group.peers, peer)
	}
	return peer
}

// want is what a receive from a rank, or from any, waits for.
func (c *Comm) want(source int, fits func(tag uint64) bool) dispatch.Want {
	w := dispatch.Want{Comm: c.number(), Source: source, Fits: fits}
	if source >= 0 {
		w.Source = c.peer(source)
	}
	if c.group != nil {
		w.Among = c.group.peers
	}
	return w
}
