//go:build mpi && linux && (amd64 || arm64)

package mpi

import "github.com/rankpool/rankpool/internal/mpi/clib"

// The loss of processes, as a library tells of it that has User-Level Failure Mitigation: Open MPI since version 5.

func rawMitigates() bool { return lib.failureAck != 0 && lib.revoke != 0 }

func rawRevoke(h uintptr) int { return quiet(func() int { return clib.Do(lib.revoke, lib.comm(h)) }) }

// isLoss tells whether an error says no more than that a process of the communicator is lost, be it another than the operation's.
func (b *bound) isLoss(code int) bool {
	if code == 0 || b.lost == 0 {
		return false
	}
	class := b.classOf(code)
	return class == b.lost || class == b.lostPending
}

// acknowledge lets receives from any rank go on although processes are lost, and calls dead for each lost rank below ranks.
func (b *bound) acknowledge(comm uintptr, ranks int, dead func(rank int)) int {
	s := borrow()
	defer s.giveBack()
	c, inter := b.comm(comm), &s.c
	*inter = 0
	code := clib.Do(b.failureAck, c)
	if code == 0 {
		code = clib.Do(b.Comm_test_inter, c, at(inter))
	}
	failed, all := &s.a, &s.b
	if code == 0 {
		code = clib.Do(b.failureGetAcked, c, at(failed))
	}
	if code != 0 {
		return code
	}
	defer clib.Do(b.Group_free, at(failed))
	group := b.Comm_group
	if intAt(inter) != 0 {
		group = b.Comm_remote_group
	}
	if code = clib.Do(group, c, at(all)); code != 0 {
		return code
	}
	defer clib.Do(b.Group_free, at(all))
	s.c, s.d = 0, 0
	code = clib.Do(b.Group_size, b.read(failed), at(&s.c))
	n := intAt(&s.c)
	for i := 0; i < n && code == 0; i++ {
		*flagAt(&s.c), *flagAt(&s.d) = int32(i), b.undefined
		code = clib.Do(b.Group_translate_ranks, b.read(failed), 1, at(&s.c), b.read(all), at(&s.d))
		if rank := intAt(&s.d); code == 0 && rank >= 0 && rank < ranks {
			dead(rank)
		}
	}
	return code
}
