package mpilink

import (
	"sync/atomic"
	"time"
)

// Kept makes what the master keeps for n ranks that have introduced themselves, have a worker each and have been heard of and written to,
// without any of them: for measurements of its size, which grows with the job. What MPI keeps comes on top.
func Kept(n int) any {
	h := newHub(Options{}, 1, n)
	h.moves = make([]atomic.Uint64, h.first+n)
	g := newGroup(Config{}, h, nil)
	g.slots = make([]atomic.Pointer[remote], n)
	about := self().append(nil)
	for slot := range n {
		r := &remote{group: g, slot: slot, peer: h.first + slot, id: uint64(slot + 1)}
		g.peers = append(g.peers, r.peer)
		g.slots[slot].Store(r)
		g.live[r] = struct{}{}
		h.workers[r.id] = r
		h.procs[r.peer], _ = readProcess(about)
		h.heard[r.peer] = time.Time{}
		h.sent.next(r.peer)
		h.came.next(r.peer)
	}
	return g
}
