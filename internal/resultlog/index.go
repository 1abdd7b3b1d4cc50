package resultlog

import (
	"math/bits"
	"slices"
)

// index says where the records of keys stand. An entry takes 16 bytes, and a table is between a half and four fifths full, so it
// is at most 32 bytes an entry. A tenth of a thousandth of a millionth is the chance that two of ten million keys are taken for one; the record
// itself has the whole key, and decides.
type index struct {
	shards [shardCount]shard
	n      int
}

const shardCount = 256

// shard is an open-addressing table of the keys with the same first byte. So what is made anew when it grows is small.
type shard struct {
	slots []slot
	used  int
}

// slot is one entry: the upper half of a key, and in one word 16 further bits of the key and what is known of it. That is never zero: an empty slot is.
type slot struct {
	hi   uint64
	word uint64
}

const (
	tagShift   = 48
	seenBit    = 1 << 47   // a call with this key was submitted by this process
	failedBit  = 1 << 46   // the record is a failure
	offsetMask = 1<<46 - 1 // where the record stands; of a key that was submitted, how many calls with it have a place
)

func (s slot) offset() int64 { return int64(s.word & offsetMask) }
func (s slot) seen() bool    { return s.word&seenBit != 0 }
func (s slot) failed() bool  { return s.word&failedBit != 0 }

// settled tells whether what is older of the key does not matter.
func (s slot) settled() bool { return s.word != 0 && (s.seen() || !s.failed()) }

// find returns the slot of a key, or nil.
func (x *index) find(k Key) *slot {
	sh := &x.shards[k.Hi>>56]
	if len(sh.slots) == 0 {
		return nil
	}
	s := sh.place(k)
	if s.word == 0 {
		return nil
	}
	return s
}

// place returns the slot of a key, or the empty one where it belongs.
func (sh *shard) place(k Key) *slot {
	n := uint64(len(sh.slots))
	at, _ := bits.Mul64(k.Hi<<8, n)
	for {
		s := &sh.slots[at]
		if s.word == 0 || s.hi == k.Hi && s.word>>tagShift == k.Lo>>tagShift {
			return s
		}
		if at++; at == n {
			at = 0
		}
	}
}

// put returns the slot of a key, made if there was none. Its word must be set before the next call.
func (x *index) put(k Key) *slot {
	sh := &x.shards[k.Hi>>56]
	if sh.used*5 >= len(sh.slots)*4 {
		sh.grow()
	}
	s := sh.place(k)
	if s.word == 0 {
		s.hi, s.word = k.Hi, k.Lo>>tagShift<<tagShift
		sh.used++
		x.n++
	}
	return s
}

// record notes where the record of a key stands. A failure does not take the place of a result.
func (x *index) record(k Key, off int64, failed bool) {
	s := x.put(k)
	if failed && s.offset() != 0 && !s.failed() {
		return
	}
	s.word = s.word&^(offsetMask|failedBit) | uint64(off)
	if failed {
		s.word |= failedBit
	}
}

func (sh *shard) grow() {
	old := sh.slots
	sh.slots = make([]slot, max(8, len(old)*3/2))
	for _, s := range old {
		if s.word != 0 {
			*sh.place(Key{Hi: s.hi, Lo: s.word}) = s
		}
	}
}

// each calls f with the entries, in the order of their keys.
func (x *index) each(f func(slot) error) error {
	var sorted []slot
	for i := range x.shards {
		sorted = sorted[:0]
		for _, s := range x.shards[i].slots {
			if s.word != 0 {
				sorted = append(sorted, s)
			}
		}
		slices.SortFunc(sorted, func(a, b slot) int { return order(a.hi, a.tag(), b) })
		for _, s := range sorted {
			if err := f(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// clear forgets all entries, and keeps the memory.
func (x *index) clear() {
	for i := range x.shards {
		clear(x.shards[i].slots)
		x.shards[i].used = 0
	}
	x.n = 0
}

// bytes is how much memory the tables take.
func (x *index) bytes() int {
	n := 0
	for i := range x.shards {
		n += len(x.shards[i].slots) * 16
	}
	return n
}
