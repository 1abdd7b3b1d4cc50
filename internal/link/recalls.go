package link

import (
	"sync/atomic"
	"unsafe"
)

// recallWindow is how many numbers a table of recalls is good for: of those that are further apart only the later ones are kept. A
// worker has half as many tasks at most that have not begun.
const recallWindow = 1 << 14

const (
	recallBits   = 16 // numbers that share a word, above which it says which ones they are
	recallBlocks = recallWindow / recallBits
)

// RecallSize is the size of a table of recalls in memory.
const RecallSize = 64 + recallBlocks*8

// recalls says which tasks are not to begin any more. It is kept by number and not as a range: between two tasks that nobody wants there
// may be one that somebody does. Words are only ever added to, or given to later numbers, so that any goroutine and process may write.
type recalls struct {
	last   atomic.Uint64 // the last number that was recalled: while a task is beyond it there is no need to look further
	_      [7]uint64
	blocks [recallBlocks]atomic.Uint64 // which 16 numbers, and which of them
}

// layRecalls lays a table over memory, which must be zeroed when new.
func layRecalls(mem []byte) *recalls {
	if len(mem) < RecallSize || uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 != 0 {
		panic("link: memory for recalls is too small or misaligned")
	}
	return (*recalls)(unsafe.Pointer(unsafe.SliceData(mem)))
}

// ShareRecalls has the marks of Recall kept in memory that others lay a journal's recalls over too.
func (j *Journal) ShareRecalls(mem []byte) { j.recalls.Store(layRecalls(mem)) }

// Recall marks that n tasks, from number first on, are not to begin any more. It is a store into memory, and may be called by any
// goroutine and by another process that shares the recalls.
func (j *Journal) Recall(first, n uint64) {
	r := j.recalls.Load()
	if r == nil { // of a journal that is shared with nobody: few ever need one
		if r = new(recalls); !j.recalls.CompareAndSwap(nil, r) {
			r = j.recalls.Load()
		}
	}
	n = min(n, recallWindow)
	for seq, end := first, first+n; seq < end; {
		block := seq / recallBits
		from, to := seq%recallBits, min(end-block*recallBits, recallBits)
		r.mark(block, 1<<to-1<<from)
		seq = block*recallBits + to
	}
	for last := &r.last; n > 0; {
		if old := last.Load(); old >= first+n-1 || last.CompareAndSwap(old, first+n-1) {
			return
		}
	}
}

// mark adds numbers of one block.
func (r *recalls) mark(block, which uint64) {
	for w := &r.blocks[block%recallBlocks]; ; {
		old := w.Load()
		word := block<<recallBits | which
		switch was := old >> recallBits; {
		case was == block:
			word |= old
		case was > block:
			return
		}
		if w.CompareAndSwap(old, word) {
			return
		}
	}
}

// Recalled tells whether a task is not to begin any more. One for which it is false begins at once: a Recall that comes between the two is
// too late for it.
func (j *Journal) Recalled(seq uint64) bool {
	r := j.recalls.Load()
	if r == nil || seq > r.last.Load() {
		return false
	}
	w, block := r.blocks[seq/recallBits%recallBlocks].Load(), seq/recallBits
	return w>>recallBits == block && w>>(seq%recallBits)&1 != 0
}

// reset prepares the table for another worker, whose numbers begin anew.
func (r *recalls) reset() {
	if r.last.Swap(0) > 0 {
		for i := range r.blocks {
			r.blocks[i].Store(0)
		}
	}
}
