package mpilink

import (
	"encoding/binary"
	"slices"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Roster knows the processes of the ranks of a communicator, so that the end of those on this host can be seen.
type Roster struct{ others map[int]process }

// NewRoster asks every rank. Collective.
func NewRoster(c *mpi.Comm) (*Roster, error) {
	all, err := mpi.GatherBytes(c, self().append(nil), 0)
	if err != nil {
		return nil, err
	}
	var list []byte
	for _, b := range all {
		list = append(binary.AppendUvarint(list, uint64(len(b))), b...)
	}
	length := []int64{int64(len(list))}
	if err := mpi.Bcast(c, length, 0); err != nil {
		return nil, err
	}
	if list == nil {
		list = make([]byte, length[0])
	}
	if err := mpi.Bcast(c, list, 0); err != nil {
		return nil, err
	}
	r := &Roster{others: map[int]process{}}
	for rank := 0; len(list) > 0; rank++ {
		n, size := binary.Uvarint(list)
		if size <= 0 || n > uint64(len(list)-size) {
			return nil, errHead
		}
		if p, ok := readProcess(list[size : size+int(n)]); ok && rank != c.Rank() {
			r.others[rank] = p
		}
		list = list[size+int(n):]
	}
	return r, nil
}

// AwaitEnds calls ended, on a goroutine of its own, for each of the ranks whose process ends before stop is closed; nil is all of them. What
// runs on other hosts is not seen.
func (r *Roster) AwaitEnds(stop <-chan struct{}, ranks []int, ended func(rank int)) {
	place := self().place
	for rank, p := range r.others {
		if !p.at(place) || ranks != nil && !slices.Contains(ranks, rank) {
			continue
		}
		go func() {
			if p.awaitEnd(stop) {
				ended(rank)
			}
		}()
	}
}
