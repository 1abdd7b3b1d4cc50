package proc

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/link"
)

// A frame with large segments is shown: the stream travels, and of each segment its length and where it is. The receiver
// fetches them out of the sender's memory, which copies each byte once, and marks that it has. Until then the sender keeps
// the segments. Where the kernel does not let one process read the other, everything goes by the socket.
const (
	// leastShown is the size of all segments from which showing them pays, and leastPiece what each must have on average.
	leastShown = 64 << 10
	leastPiece = 2 << 10

	// mostRung is the size of all segments up to which a shown frame goes by the ring: a goroutine that waits for a result may
	// fetch it, one after the other. The reader of the socket has a goroutine of its own.
	mostRung = 4 << 20

	// placeSize is the size of an entry in the table of a shown frame: a length and an address, 8 bytes each.
	placeSize = 16
)

// A handover is the state by which two processes agree on one direction of what is shown. It lies in the memory that they share.
type handover struct {
	word  *atomic.Uint64 // of the sender: where its nonce is; 0 while the receiver must not look
	nonce *atomic.Uint64 // of the sender
	able  *atomic.Uint32 // of the receiver: it can read the sender's memory

	shown   *atomic.Uint32 // of the sender: how many frames it has shown
	fetched *atomic.Uint32 // of the receiver: how many of them it has fetched
	moved   *atomic.Uint64 // of the receiver: how many bytes of them it has fetched
	waiting *atomic.Uint32 // of the sender: it sleeps until fetched changes
}

// worthShowing tells whether a frame has much to fetch, and whether that is too much for a goroutine that polls other
// workers too.
func worthShowing(f link.Frame) (worth, long bool) {
	if len(f.Segments) == 0 || len(f.Segments) > mostSegments {
		return false, false
	}
	sum := 0
	for _, s := range f.Segments {
		sum += len(s)
	}
	return sum >= leastShown && sum/len(f.Segments) >= leastPiece, sum > mostRung
}

// held is what a sender keeps until the receiver has it.
type held struct {
	number   uint32 // among the shown frames
	segments [][]byte
}

// source is a process whose memory this one reads.
type source struct {
	*handover
	pid   int
	limit uint64 // the most bytes a frame may have

	// One goroutine fetches at a time, though not always the same: a worker shows nothing before the last frame that it
	// has shown was fetched, and has one goroutine that receives. The order comes from the other process, which neither
	// the memory model nor the race detector knows of.
	mu          sync.Mutex
	word, nonce uint64 // what the handover said when the kernel was asked
	peek        peek
}

func newSource(d *handover, pid int, limit uint64) *source {
	return &source{handover: d, pid: pid, limit: limit, peek: peek{moved: d.moved}}
}

// probe finds out whether this process can read the other one, and tells it. It is called before anything is shown, and
// when that may have changed.
func (s *source) probe() (able bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.word, s.nonce = s.handover.word.Load(), s.handover.nonce.Load()
	able = s.word != 0 && s.peek.read(s.pid, s.word, s.nonce, nil, nil) == nil
	mark := uint32(0)
	if able {
		mark = 1
	}
	s.able.Store(mark)
	return able
}

// fetch returns the segments of a table in fresh memory.
func (s *source) fetch(table []byte, stream uint64) ([][]byte, error) {
	if s == nil {
		return nil, fmt.Errorf("%w (it shows memory where it must not)", errWire)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.able.Load() == 0 || s.shown.Load() == s.fetched.Load() {
		return nil, fmt.Errorf("%w (it shows memory that this process cannot read)", errWire)
	}
	n := len(table) / placeSize
	sum := stream
	lengths := make([]int, n) // read once: the table may be in memory that the other process can change
	for i := range n {
		length := binary.LittleEndian.Uint64(table[i*placeSize:])
		if length > s.limit || sum > s.limit-length {
			return nil, fmt.Errorf("%w: segments of more than %d bytes exceed the memory that this process may have", errWire, s.limit)
		}
		sum += length
		lengths[i] = int(length)
	}
	segments := make([][]byte, n)
	places := make([]uint64, n)
	for i := range n {
		segments[i] = fresh.Lazy(lengths[i])
		places[i] = binary.LittleEndian.Uint64(table[i*placeSize+8:])
	}
	if err := s.peek.read(s.pid, s.word, s.nonce, segments, places); err != nil {
		return nil, err
	}
	s.fetched.Add(1)
	if s.waiting.Load() != 0 {
		wake(s.fetched)
	}
	return segments, nil
}

// offer lets the other process find out whether it can read this one.
func (d *handover) offer() {
	word, nonce := identity()
	d.nonce.Store(nonce)
	d.word.Store(word)
}

// appendPlaces appends the table of a shown frame.
func appendPlaces(b []byte, segments [][]byte) []byte {
	b = slices.Grow(b, placeSize*len(segments))
	for _, s := range segments {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
		b = binary.LittleEndian.AppendUint64(b, address(s))
	}
	return b
}
