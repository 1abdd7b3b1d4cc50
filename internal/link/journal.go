package link

import (
	"sync/atomic"
	"unsafe"
)

// JournalHeader is the size of the part of a journal's memory that holds the marks.
const JournalHeader = 64

// Journal is where a worker writes results before it sends them, and where it marks how far it got. In shared memory
// it outlives the worker, so that its death costs the one task it was running and no result that was finished.
//
// Tasks are numbered per worker from 1 in the order in which they were sent. One goroutine of the worker writes at a
// time; Read may be called by another process.
type Journal struct {
	mem     []byte
	marks   *[6]atomic.Uint64       // the beginning of mem
	recalls atomic.Pointer[recalls] // see Recall; not in mem. Nil: nothing was recalled yet
}

// NewJournal lays a journal over mem, which must be aligned to 8 bytes, zeroed when new, and longer than JournalHeader.
func NewJournal(mem []byte) *Journal {
	if len(mem) <= JournalHeader || uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 != 0 {
		panic("link: journal memory is too small or misaligned")
	}
	return &Journal{mem: mem, marks: (*[6]atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem)))}
}

// Mark words: [0] finished task (40 bits), whether the writer is to stop (1 bit) and bytes written (23 bits); [1] last picked
// task; [2] the mark of the frame that the endpoint takes in; of a task of several elements that runs: [3] its number, [4] where a copy
// of its results begins (41 bits, 0 if there is none) and where they do themselves (23 bits), [5] elements that are over (41 bits) and
// where the results of those end (23 bits).
const (
	seqShift = 24
	halt     = 1 << 23
)

// MaxJournal is the largest useful size of a journal's buffer, in bytes.
const MaxJournal = halt - 1

// Buffer is the memory for results: length 0, and the capacity there is. Appending beyond the capacity moves the data
// elsewhere, as append does: such a result is not in the journal.
func (j *Journal) Buffer() []byte {
	b := j.mem[JournalHeader:]
	if len(b) > MaxJournal {
		b = b[:MaxJournal]
	}
	return b[:0:len(b)]
}

// Picked marks that the worker has begun with the tasks up to and including last.
func (j *Journal) Picked(last uint64) { j.marks[1].Store(last) }

// Receiving marks that the endpoint takes in a frame with that Mark which may be large; 0 says that it has it. A worker that ends in
// between was lost with what it was sent. Only the goroutine that receives calls it, on an endpoint without a journal (nil) it
// does nothing.
func (j *Journal) Receiving(mark uint64) {
	if j != nil {
		j.marks[2].Store(mark)
	}
}

// Receives returns what Receiving has marked last.
func (j *Journal) Receives() uint64 { return j.marks[2].Load() }

// Finished marks that every task up to and including seq has finished, and that the first n bytes of the Buffer hold
// what has not been sent yet. With n = 0 it says that everything has. It returns whether Halt was called since the last
// mark: one exchange says both that a task has ended and whether the next may begin.
func (j *Journal) Finished(seq uint64, n int) (halted bool) {
	return j.marks[0].Swap(seq<<seqShift|uint64(n))&halt != 0
}

// Entered marks that task seq runs, of which so many elements are over that the journal need not tell of, and that the results of
// the following ones begin at byte start of the Buffer. Only of a task of several elements it is needed.
func (j *Journal) Entered(seq uint64, over, start int) {
	j.marks[5].Store(uint64(over)<<elementsShift | uint64(start))
	j.marks[4].Store(uint64(start))
	j.marks[3].Store(seq) // last: before, the marks are another task's
}

// elementsShift makes room for a length beside a number of elements.
const elementsShift = 23

// Over marks that so many elements of the task that was entered are over, and that their results end at byte n.
func (j *Journal) Over(elements, n int) {
	j.marks[5].Store(uint64(elements)<<elementsShift | uint64(n))
}

// Moved marks that the results since Entered, which Over has marked, have been copied: they begin at byte start now, as long as the
// entry that they stand in is written again. The next Entered ends that.
func (j *Journal) Moved(start int) {
	j.marks[4].Store(j.marks[4].Load()&MaxJournal | uint64(start)<<elementsShift)
}

// Begun returns how many elements are over of the task after the last that has finished, and a copy of the results that Over has
// marked since Entered. It is meant for a journal whose writer has ended.
func (j *Journal) Begun() (over int, results []byte) {
	finished, _ := j.Unsent()
	if j.marks[3].Load() != finished+1 {
		return 0, nil
	}
	w, begin := j.marks[5].Load(), j.marks[4].Load()
	start, end := begin&MaxJournal, w&MaxJournal
	if moved := begin >> elementsShift; moved > 0 {
		start, end = moved, moved+end-start
	}
	if limit := uint64(len(j.mem) - JournalHeader); start > end || end > limit {
		return 0, nil
	}
	return int(w >> elementsShift), append([]byte(nil), j.mem[JournalHeader+start:JournalHeader+end]...)
}

// Halt has the next Finished return true, and returns the number of the task that has finished by now. Any goroutine of
// the worker may call it.
func (j *Journal) Halt() (finished uint64) { return j.number(j.marks[0].Or(halt)) }

// number returns the number that a mark word stands for. There is room for 40 bits of it, which tiny tasks use up in days: it is the
// one of these that is nearest to the last that was picked.
func (j *Journal) number(word uint64) uint64 {
	picked := j.marks[1].Load()
	return picked + uint64(int64((word>>seqShift-picked)<<seqShift)>>seqShift)
}

// Unsent returns what Finished has marked last.
func (j *Journal) Unsent() (seq uint64, n int) {
	w := j.marks[0].Load()
	return j.number(w), int(w & MaxJournal)
}

// Reset clears the marks, for the next worker over the same memory.
func (j *Journal) Reset() {
	for i := range j.marks {
		j.marks[i].Store(0)
	}
	if r := j.recalls.Load(); r != nil {
		r.reset()
	}
}

// Read returns the marks and a copy of the unsent bytes. It is meant for a journal whose writer has ended.
func (j *Journal) Read() (finished, picked uint64, unsent []byte) {
	w := j.marks[0].Load()
	n := min(int(w&MaxJournal), len(j.mem)-JournalHeader)
	if n > 0 {
		unsent = append([]byte(nil), j.mem[JournalHeader:JournalHeader+n]...)
	}
	return j.number(w), j.marks[1].Load(), unsent
}
