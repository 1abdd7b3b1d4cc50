package mpilink

import "github.com/rankpool/rankpool/internal/mpi"

// Roster knows the processes of the ranks of a communicator, so that their end can be seen where they are on this host. Rank 0
// knows all, and the others know rank 0.
type Roster struct {
	self  int
	ranks map[int]process
}

// NewRoster asks every rank. Collective.
func NewRoster(c *mpi.Comm) (*Roster, error) {
	r := &Roster{self: c.Rank(), ranks: map[int]process{}}
	own := self().append(nil)
	all, err := mpi.GatherBytes(c, own, 0)
	if err != nil {
		return nil, err
	}
	for rank, b := range all {
		if p, ok := readProcess(b); ok && rank != r.self {
			r.ranks[rank] = p
		}
	}
	length := []int64{int64(len(own))}
	if err := mpi.Bcast(c, length, 0); err != nil {
		return nil, err
	}
	first := make([]byte, length[0])
	copy(first, own)
	if err := mpi.Bcast(c, first, 0); err != nil {
		return nil, err
	}
	if p, ok := readProcess(first); ok && r.self != 0 {
		r.ranks[0] = p
	}
	return r, nil
}

// AwaitEnds calls ended, on a goroutine of its own, for each of the ranks that are known whose process ends before stop is
// closed. What runs on other hosts is not seen.
func (r *Roster) AwaitEnds(stop <-chan struct{}, ended func(rank int)) {
	place := self().place
	for rank, p := range r.ranks {
		if !p.at(place) {
			continue
		}
		go func() {
			if p.awaitEnd(stop) {
				ended(rank)
			}
		}()
	}
}
