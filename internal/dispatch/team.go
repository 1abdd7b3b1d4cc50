package dispatch

import "encoding/binary"

// team is the slots of a gang's members, in the order of their ranks, which is that of the slots. It travels to each member, and mostly
// it is one block, however many there are.
type team []block

// block is slots that follow each other.
type block struct{ first, n int }

// teamOf returns the team of slots, which are in order.
func teamOf(slots []int) (t team) {
	for _, slot := range slots {
		if last := len(t) - 1; last >= 0 && t[last].first+t[last].n == slot {
			t[last].n++
		} else {
			t = append(t, block{slot, 1})
		}
	}
	return t
}

func (t team) size() (n int) {
	for _, b := range t {
		n += b.n
	}
	return n
}

// slot returns the slot of a rank, or -1.
func (t team) slot(rank int) int {
	for _, b := range t {
		if rank < b.n {
			return b.first + rank
		}
		rank -= b.n
	}
	return -1
}

// rank returns the rank of a slot, or -1.
func (t team) rank(slot int) int {
	before := 0
	for _, b := range t {
		if slot < b.first {
			break
		}
		if slot < b.first+b.n {
			return before + slot - b.first
		}
		before += b.n
	}
	return -1
}

// absent returns the slots below size that are not in it, in order.
func (t team) absent(size int) (slots []int) {
	for slot := range size {
		if t.rank(slot) < 0 {
			slots = append(slots, slot)
		}
	}
	return slots
}

// append appends how many blocks there are, and of each how many slots lie between it and the one before, and how many it has.
func (t team) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(t)))
	end := 0
	for _, k := range t {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(k.first-end)), uint64(k.n))
		end = k.first + k.n
	}
	return b
}

func (r *reader) team() (t team) {
	end := 0
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		first := end + int(r.uint())
		k := block{first, int(r.uint())}
		t, end = append(t, k), k.first+k.n
	}
	return t
}
