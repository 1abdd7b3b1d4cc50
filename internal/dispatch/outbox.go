package dispatch

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// outbox collects the results of a batch in the worker's journal and sends them.
//
// The runner appends without a lock; the journal's mark says how far the bytes are final. Another goroutine may send that part while
// the runner goes on: then flushed says how far it got. The lock orders the sending.
type outbox struct {
	s        *server
	enc      pkl5.Encoder
	call     Call
	local    Local // what runs units by reference; nil while nothing does
	units    Units // of local
	begun    bool  // a unit runs, and not by reference
	start    int   // where the entry of the unit that runs begins
	room     int   // how many bytes its header has there
	seq      uint64
	segments int    // how many segments the stream has had there
	final    uint64 // the last of the batch

	// The journal said at a mark which was not the first of its unit that no other is to begin: the one that may have begun
	// since is the last.
	halted bool

	mu         sync.Mutex
	base       []byte // the journal's buffer
	full       int    // how long the stream may become before it is sent
	flushed    int
	flushedSeq uint64
}

func (o *outbox) init(s *server) {
	o.s = s
	o.base = s.journal.Buffer()
	o.full = cap(o.base) / 4 * 3
}

// open begins a stream of results, of which seq is the first.
func (o *outbox) open(seq uint64) {
	o.mu.Lock()
	o.enc.Stream = binary.AppendUvarint(append(o.base[:0], kindResults), seq)
	o.enc.Segments = o.enc.Segments[:0]
	o.seq = seq - 1
	o.flushed, o.flushedSeq = 0, seq-1
	o.remark(seq - 1)
	o.mu.Unlock()
}

// remark marks again that seq has ended, with nothing in the journal.
func (o *outbox) remark(seq uint64) {
	if o.s.journal.Finished(seq, 0) {
		o.halted = true
	}
}

// begin makes room for the header of an entry.
func (o *outbox) begin() {
	o.start, o.room, o.segments = len(o.enc.Stream), 1, len(o.enc.Segments)
	o.enc.Stream = append(o.enc.Stream, 0)
}

// chunkRoom is the length of the header of a unit of several elements: a uvarint that is padded, so that the results behind it need
// not be moved when their length is known. All that fits into a journal has room.
const chunkRoom = 4

// beginChunk makes room for the header of an entry of several elements.
func (o *outbox) beginChunk() {
	o.start, o.room, o.segments = len(o.enc.Stream), chunkRoom, len(o.enc.Segments)
	o.enc.Stream = append(o.enc.Stream, make([]byte, chunkRoom)...)
}

// succeeded completes the header of an entry whose results have been appended. Like finished it returns true when no
// other unit may begin.
func (o *outbox) succeeded(seq uint64) (stop bool) {
	n := len(o.enc.Stream) - o.start - o.room
	var h [2 * binary.MaxVarintLen64]byte
	switch {
	case len(o.enc.Segments) > o.segments:
		b := binary.AppendUvarint(h[:0], uint64(n)<<2|entryBuffers)
		o.replace(binary.AppendUvarint(b, uint64(len(o.enc.Segments)-o.segments)), nil)
	case o.room == chunkRoom && n < 1<<(7*chunkRoom-ResultShift):
		v := uint64(n)<<ResultShift | entryOK
		copy(o.enc.Stream[o.start:], []byte{byte(v) | 0x80, byte(v>>7) | 0x80, byte(v>>14) | 0x80, byte(v >> 21)})
	case n < 1<<5:
		o.enc.Stream[o.start] = byte(n<<2 | entryOK)
	default:
		o.replace(binary.AppendUvarint(h[:0], uint64(n)<<2|entryOK), nil)
	}
	return o.finished(seq)
}

// replace gives the last entry another header in place of the room for one, and appends a tail to it.
func (o *outbox) replace(header, tail []byte) {
	begin := min(o.start+o.room, len(o.enc.Stream))
	if o.call.Chunked && cap(o.enc.Stream) == cap(o.base) {
		o.keep(begin, len(header)-o.room+len(tail))
	}
	o.enc.Stream = append(slices.Replace(o.enc.Stream, o.start, begin, header...), tail...)
}

// keep copies the results of a chunk, which begin at a byte of the stream, before they are moved: if the worker ends meanwhile, those of
// the elements that are over are still in the journal. The entry is about to become longer by so many bytes.
func (o *outbox) keep(begin, longer int) {
	data := o.enc.Stream[begin:]
	if len(data) == 0 {
		return
	}
	at := len(o.enc.Stream) + max(longer, 0) + 2*binary.MaxVarintLen64 // the time of the batch may come between, see close
	if room := o.base[:cap(o.base)]; at+len(data) <= len(room) {
		copy(room[at:], data)
		o.s.journal.Moved(at)
		return
	}
	o.enc.Stream = append(make([]byte, 0, max(at, cap(o.base)+1)), o.enc.Stream...) // the journal stays as it is
}

// part makes the entry of a part of a unit: from element over on, of call.Done elements whose results were appended, and with an
// error of those after them.
func (o *outbox) part(over int, kind byte, err error) {
	o.enc.Abandon()
	var coded []byte
	if err != nil {
		coded = o.s.svc.AppendError(nil, err)
	}
	n := max(len(o.enc.Stream)-o.start-o.room, 0)
	var h [6 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(h[:0], uint64(n)<<2|entryPart)
	b = binary.AppendUvarint(b, uint64(len(o.enc.Segments)-o.segments))
	b = binary.AppendUvarint(b, uint64(over))
	b = binary.AppendUvarint(b, uint64(o.call.Done))
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(len(coded)))
	o.replace(b, coded)
}

// remarkPart marks that a part of unit seq stands in the journal.
func (o *outbox) remarkPart(seq uint64) {
	if o.s.journal.Finished(seq-1, len(o.enc.Stream)) {
		o.halted = true
	}
}

// flushPart sends what there is, in the midst of unit seq.
func (o *outbox) flushPart(seq uint64) {
	if o.flush() {
		o.halted = true
	}
	o.open(seq)
}

// finished marks that seq has ended, and sends what there is when it cannot stay in the journal. It returns true when no
// other unit may begin: those after seq were given back.
func (o *outbox) finished(seq uint64) (stop bool) {
	n := len(o.enc.Stream)
	o.seq = seq
	if len(o.enc.Segments) == 0 && n <= o.full && cap(o.enc.Stream) == cap(o.base) { // else it has left the journal
		return o.s.journal.Finished(seq, n) || o.halted
	}
	if seq == o.final {
		return true // the end of the batch sends it at once, with the time: two messages would wake the master twice
	}
	stop = o.flush() || o.halted
	o.open(seq + 1)
	return stop
}

// time appends how long the units since the last call took.
func (o *outbox) time(w *work) {
	now := time.Now()
	o.enc.Stream = binary.AppendUvarint(o.enc.Stream, uint64(max(now.Sub(w.begun), 0))<<2|entryTime)
	if o.s.timed {
		o.enc.Stream = binary.AppendUvarint(o.enc.Stream, uint64(now.Sub(o.s.origin)))
	}
	w.begun = now
}

// flush sends the rest of the stream, marks that, and returns what the mark did. Only the runner calls it.
func (o *outbox) flush() (halted bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.enc.Stream
	var stream []byte
	switch moved := cap(b) > cap(o.base); {
	case o.flushed > 0:
		stream = binary.AppendUvarint(append(link.GetBuffer(), kindResults), o.flushedSeq+1)
		stream = append(stream, b[o.flushed:]...)
	case moved:
		stream = b // it outgrew the journal, so it is ours to give away
	default:
		stream = append(link.GetBuffer(), b...)
	}
	var segs [][]byte
	if len(o.enc.Segments) > 0 {
		segs = append(segs, o.enc.Segments...)
	}
	o.s.transmit(link.Frame{Stream: stream, Segments: segs})
	halted = o.s.journal.Finished(o.seq, 0)
	clear(o.enc.Segments)
	o.enc.Stream, o.enc.Segments = o.base[:0], o.enc.Segments[:0]
	o.flushed, o.flushedSeq = 0, o.seq
	return halted
}

// flushMarked sends the results of the units that have finished, while another one of the batch runs. Any goroutine may call it. When
// the last of the batch has finished it does nothing: the runner sends the rest at once, and only the runner knows how long that took.
func (o *outbox) flushMarked(last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	seq, n := o.s.journal.Unsent()
	if n <= o.flushed || seq >= last {
		return
	}
	var stream []byte
	if o.flushed > 0 {
		stream = binary.AppendUvarint(append(link.GetBuffer(), kindResults), o.flushedSeq+1)
	} else {
		stream = link.GetBuffer()
	}
	stream = append(stream, o.base[:n][o.flushed:]...)
	o.s.transmit(link.Frame{Stream: stream})
	o.flushed, o.flushedSeq = n, seq
}
