package dispatch

import (
	"time"

	"github.com/rankpool/rankpool/internal/awake"
)

// worker is one slot of the group. There may be a hundred thousand of them, and of each but little is in a processor's cache when a
// message of it comes: what every message needs stands together, and what a worker has to do mostly needs no memory of its own.
type worker struct {
	slot   int
	state  workerState
	thread bool // it is a goroutine of this process
	heard  bool // a frame came since the watchdog looked last
	long   bool // gave units back, and has answered nothing since
	talks  bool // the unit it runs has asked for the other workers
	direct bool // and talks to them by means that the master knows nothing of
	away   bool // it has been told to leave, and has said that it did: what its process does concerns other slots
	made   bool // which are made: it does not wait for them to be
	passed bool // what it runs was handed out while a gang waited
	asks   bool // the unit it runs is in no gang, and has asked for the other workers
	filler bool // it was free for a gang that waits, and runs something short meanwhile

	out     []piece       // handed out, in order; those before head are answered. Its memory is room, or comes from the master's lists
	ends    []uint64      // the last number of each frame of tasks that is not wholly answered; its memory is frames
	head    int           //
	units   int           // how many units are not answered
	quick   uint64        // what it runs was quick so far, and is counted: see holding.epoch
	seq     uint64        // the number of the last unit sent
	last    uint64        // the number of the last unit answered
	served  int           // units it has answered
	epoch   uint64        // hand-backs seen
	since   time.Duration // when the frame was sent that it is at: see Master.now
	untimed time.Duration // what units are taken to have taken whose results came before their time
	site    *Site         // where it is; nil before it has said hello
	hello   *Hello        // it does not change
	tasks   uint64        // units that were answered in this slot
	spent   time.Duration // in those that are finished, by this worker and those before it
	parted  elements      // of the unit that it runs, those of which parts have come
	post    post
	room    [prefetching]piece
	frames  [prefetching]uint64
	loan    loan
	gang    *gang     // that the unit it runs is of; nil: of none
	shares  []*common // what its task has in common with some others

	generation *Generation   // that the last unit it was sent needs
	held       []*Generation // of the first worker of a process: those that it has, by their numbers
	alone      *Generation   // that it was sent by itself last, because the first was not there

	moved   uint64        // what the group told of frames on their way when the watchdog looked last
	silent  int           // how often it looked in vain
	timer   *awake.Timer  // of its start, its pause or its leaving; nil when it has been stopped
	fails   int           // starts that failed in a row
	starts  int           // starts in this slot, the last included
	follows bool          // the one before it was lost
	readied time.Duration // when it was ready: see Master.now
	reign   uint64        // the pool's when it was started
}

type workerState uint8

const (
	empty workerState = iota
	starting
	idle
	busy
	leaving
	pausing // empty until the next start
	dead    // given up
)

// now is the time since the Master was made.
func (m *Master) now() time.Duration { return time.Since(m.begun) }

// next returns the oldest piece at the worker that has unanswered units.
func (w *worker) next() *piece {
	if w.head == len(w.out) {
		return nil
	}
	return &w.out[w.head]
}

// give notes a piece that is handed out to a worker.
func (m *Master) give(w *worker, p piece) {
	if len(w.out) == cap(w.out) {
		m.makeRoom(w)
	}
	w.out = append(w.out, p)
}

// makeRoom is called when a worker's list is full. A worker that always has another batch never runs out of pieces: those that are not
// answered move to the front when they are few. Else the list grows, in memory that another worker had, or as any slice.
func (m *Master) makeRoom(w *worker) {
	switch {
	case w.out == nil:
		w.out = w.room[:0]
	case w.head > 0 && w.head >= len(w.out)/2:
		n := copy(w.out, w.out[w.head:])
		clear(w.out[n:])
		w.out, w.head = w.out[:n], 0
	case cap(w.out) == len(w.room):
		w.out, w.head = append(m.spare.take(), w.out[w.head:]...), 0
		clear(w.room[:])
	}
}

// settle is called when pieces of a worker's list were answered or taken back. The memory is another's when the worker's own is
// enough: an idle worker has none, and what one has given back is in a cache when the next one needs it.
func (m *Master) settle(w *worker) {
	switch left := w.out[w.head:]; {
	case cap(w.out) > len(w.room) && len(left) <= len(w.room):
		list := w.out
		w.out, w.head = append(w.room[:0], left...), 0
		clear(list)
		m.spare.put(list[:0])
	case len(left) == 0:
		w.out, w.head = w.out[:0], 0
	}
}

// sent notes that a frame of tasks ends with the last unit sent.
func (w *worker) sent() {
	if w.ends == nil {
		w.ends = w.frames[:0]
	}
	w.ends = append(w.ends, w.seq)
}

// lists are what was the memory of workers' lists.
type lists struct {
	all  [][]piece
	room int // they have together
}

const (
	leastList = 16
	mostSpare = 1 << 14 // of pieces
)

func (l *lists) take() (list []piece) {
	n := len(l.all)
	if n == 0 {
		return make([]piece, 0, leastList)
	}
	list, l.all[n-1] = l.all[n-1], nil
	l.all = l.all[:n-1]
	l.room -= cap(list)
	return list
}

func (l *lists) put(list []piece) {
	if l.room+cap(list) <= mostSpare {
		l.all = append(l.all, list)
		l.room += cap(list)
	}
}
