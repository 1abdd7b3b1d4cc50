package proc

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
)

// ring carries short frames, and shown ones, through memory that two processes share, from one of them to the other. It
// is the quick way beside the socket, and taken only while the receiver is awake: it looks into the ring before it sleeps,
// and the socket is what wakes it. Frames are numbered from 1 over both ways, so that they arrive in order.
//
// One goroutine at a time uses each end. A frame takes a header of 24 bytes (the length, the number of shown segments, the
// frame's number, its mark), the table of what is shown and its stream, rounded up.
type ring struct {
	tail     *atomic.Uint64 // bytes put in, ever
	head     *atomic.Uint64 // bytes taken out
	last     *atomic.Uint64 // the number of the last frame that went by the socket
	awake    *atomic.Uint32 // the receiver will look before it sleeps
	data     []byte
	handover // for what is shown on the same way

	source  *source       // what the receiver fetches from; nil where nothing is ever shown
	journal *link.Journal // where a worker marks that it receives; nil in a master

	at   uint64 // this end's own tail or head
	seen uint64 // the sender's last look at head
}

const (
	ringData    = 64 << 10
	ringMarks   = 512 // each mark has a line of the cache of its own
	ringSize    = ringMarks + ringData
	ringHeader  = 24
	ringRound   = 16
	longestRung = 16 << 10 // longer streams go by the socket

	// ringSkip in place of a length says that the rest of the memory is not used this time round.
	ringSkip = 1<<32 - 1
)

// newRing lays a ring over zeroed memory.
func newRing(mem []byte) *ring {
	mark := func(i int) unsafe.Pointer { return unsafe.Pointer(&mem[64*i]) }
	return &ring{
		tail: (*atomic.Uint64)(mark(0)), head: (*atomic.Uint64)(mark(1)),
		last: (*atomic.Uint64)(mark(2)), awake: (*atomic.Uint32)(mark(3)),
		handover: handover{
			word: (*atomic.Uint64)(mark(4)), nonce: (*atomic.Uint64)(unsafe.Add(mark(4), 8)), able: (*atomic.Uint32)(mark(5)),
			fetched: (*atomic.Uint32)(mark(6)), moved: (*atomic.Uint64)(unsafe.Add(mark(6), 8)), waiting: (*atomic.Uint32)(mark(7)), shown: (*atomic.Uint32)(unsafe.Add(mark(7), 4)),
		},
		data: mem[ringMarks:ringSize],
	}
}

// put puts a frame in, whose segments are shown, unless it does not fit or the receiver sleeps.
func (r *ring) put(number uint64, f link.Frame) bool {
	length := len(f.Segments)*placeSize + len(f.Stream)
	if r.awake.Load() == 0 || length > longestRung {
		return false
	}
	need := (uint64(length) + ringHeader + ringRound - 1) / ringRound * ringRound
	at := r.at % ringData
	skip := uint64(0)
	if at+need > ringData {
		skip = ringData - at
	}
	if r.at+skip+need-r.seen > ringData {
		if r.seen = r.head.Load(); r.at+skip+need-r.seen > ringData {
			return false
		}
	}
	if skip > 0 {
		binary.LittleEndian.PutUint32(r.data[at:], ringSkip)
		r.at += skip
		at = 0
	}
	binary.LittleEndian.PutUint32(r.data[at:], uint32(length))
	binary.LittleEndian.PutUint32(r.data[at+4:], uint32(len(f.Segments)))
	binary.LittleEndian.PutUint64(r.data[at+8:], number)
	binary.LittleEndian.PutUint64(r.data[at+16:], f.Mark)
	table := appendPlaces(r.data[at+ringHeader:at+ringHeader], f.Segments)
	copy(r.data[at+ringHeader+uint64(len(table)):], f.Stream)
	r.at += need
	r.tail.Store(r.at)
	return true
}

// some tells whether anything is in the ring.
func (r *ring) some() bool { return r.tail.Load() != r.at }

// take takes the frame with that number out, if it is there: an earlier one goes by the socket.
func (r *ring) take(number uint64) (f link.Frame, ok bool, err error) {
	for {
		tail := r.tail.Load()
		if tail == r.at {
			return link.Frame{}, false, nil
		}
		at := r.at % ringData
		n := uint64(binary.LittleEndian.Uint32(r.data[at:]))
		if n == ringSkip && ringData-at <= tail-r.at && tail-r.at <= ringData {
			r.at += ringData - at
			r.head.Store(r.at)
			continue
		}
		segments := uint64(binary.LittleEndian.Uint32(r.data[at+4:]))
		have := binary.LittleEndian.Uint64(r.data[at+8:])
		need := (n + ringHeader + ringRound - 1) / ringRound * ringRound
		switch {
		case tail-r.at > ringData || n > longestRung || segments*placeSize > n || at+need > ringData || r.at+need > tail || have < number:
			return link.Frame{}, false, fmt.Errorf("%w (in the memory shared with it: %d bytes, number %d for %d)", errWire, n, have, number)
		case have > number:
			return link.Frame{}, false, nil
		}
		content := r.data[at+ringHeader : at+ringHeader+n]
		if segments > 0 {
			r.journal.Receiving(binary.LittleEndian.Uint64(r.data[at+16:]))
			if f.Segments, err = r.source.fetch(content[:segments*placeSize], n); err != nil {
				return link.Frame{}, false, err
			}
			r.journal.Receiving(0)
		}
		f.Stream = append(link.GetBuffer(), content[segments*placeSize:]...)
		r.at += need
		r.head.Store(r.at)
		return f, true, nil
	}
}
