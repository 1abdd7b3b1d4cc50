// Package slots makes several workers of each worker of a group, for processes that run more than one task at a time.
//
// Of P members with n slots each the master sees P × n workers: those from k·n to k·n+n−1 are the slots of member k. They share its
// process and its link. A frame ends with the number of its slot, 2 bytes little-endian. A member starts when all its slots were
// started, is killed when one is, and its slots are lost together when it is: what each of them has left behind is told apart where the
// member has a journal for each.
package slots

import (
	"encoding/binary"

	"github.com/rankpool/rankpool/internal/link"
)

// Most is how many slots a member can have.
const Most = 4096

const (
	tail = 2 // bytes behind a frame's stream

	// markBits is how many bits of a frame's mark say which slot it is for. Numbers of units never need the others.
	markBits = 16
)

// address puts a slot into a frame.
func address(f *link.Frame, slot int) {
	f.Stream = binary.LittleEndian.AppendUint16(f.Stream, uint16(slot))
	if f.Mark != 0 {
		f.Mark = f.Mark<<markBits | uint64(slot)
	}
}

// addressee takes the slot out of a frame again; false if there is none.
func addressee(f *link.Frame, n int) (slot int, ok bool) {
	at := len(f.Stream) - tail
	if at < 0 {
		return 0, false
	}
	slot = int(binary.LittleEndian.Uint16(f.Stream[at:]))
	f.Stream = f.Stream[:at]
	return slot, slot < n
}
