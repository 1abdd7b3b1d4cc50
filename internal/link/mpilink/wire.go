package mpilink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/memlimit"
	"github.com/rankpool/rankpool/internal/mpi"
)

// wire turns frames into messages and back. Sends may run together; receive, arrived and settle belong to the goroutine that polls.
type wire struct {
	port *mpi.Port

	post  func(peer, tag int, into []byte, token uint64) error // port.RecvFrom, but for a test's
	limit uint64                                               // the most bytes that may be on their way from one peer
	moved func(peer int)                                       // is told when a part has come or left; nil: nobody is

	// sending is held while the head and the parts of a frame are queued: the parts have no names, so their order must be
	// that of the heads.
	sending sync.Mutex

	queueing sync.Mutex // held while a head is numbered and queued
	sent     sequence   // guarded by queueing

	// Of the goroutine that polls.
	came  sequence
	later []head // of the message that is being taken, the last first

	mu   sync.Mutex // guards what follows; taken after sending
	next uint64
	open map[uint64]operation // operations that will report, by token
}

// join has a wire use a port, and receive no more than this process can have.
func (w *wire) join(p *mpi.Port) { w.port, w.post, w.limit = p, p.RecvFrom, memlimit.Bytes() }

// queue numbers a head and queues it. It shares a message with what else is queued for the peer before the next poll.
func (w *wire) queue(peer int, head []byte) error {
	w.queueing.Lock()
	defer w.queueing.Unlock()
	setNumber(head, w.sent.next(peer))
	return w.port.Join(peer, head)
}

// largestPart is the most bytes that travel at once: the library does not tell of less.
const largestPart = 64 << 20

// inParts calls f with what travels at once of b, until one fails.
func inParts(b []byte, f func(part []byte) error) error {
	for part := range slices.Chunk(b, largestPart) {
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

// leastDoubted is how much a peer may announce that is backed by memory before it has come.
const leastDoubted = 64 << 20

// operation is one part of a transfer.
type operation struct {
	of  *transfer
	len int
}

// transfer is the parts of one frame on their way. Its fields are guarded by wire.mu until it is complete.
type transfer struct {
	left   int // operations that have not reported; one more while the frame is being queued
	err    error
	stream []byte    // of a frame that leaves: goes back to the pool
	in     *incoming // of a frame that comes
	from   *lane     // where it comes in
	size   uint64    // of its parts
	waiter *parking  // where a goroutine waits for the frame to leave; nil in the master
	over   bool      // guarded by whoever waits
}

// incoming is a frame, or the end of a worker, in the order of arrival.
type incoming struct {
	frame link.Frame
	ready bool  // every part is there
	err   error // one is not
	ended bool  // no frame: the worker's end
	why   string
}

// lane is what comes from one worker, or to one.
type lane struct {
	lengths []int  // of segments, until their frame's head comes
	sum     uint64 // of these
	coming  uint64 // bytes that were announced and have not come
	queue   []*incoming
	head    int       // those before are gone
	spare   *incoming // for the next one
}

var errHead = errors.New("mpilink: a damaged message")

// push appends a frame.
func (l *lane) push(in incoming) *incoming {
	p := l.spare
	if l.spare = nil; p == nil {
		p = new(incoming)
	}
	*p = in
	if l.head > 64 && l.head > len(l.queue)/2 { // it is never empty
		n := copy(l.queue, l.queue[l.head:])
		clear(l.queue[n:])
		l.queue, l.head = l.queue[:n], 0
	}
	l.queue = append(l.queue, p)
	return p
}

// pop takes the first frame, if all of it is there.
func (l *lane) pop() (in incoming, ok bool) {
	if l.empty() || !l.queue[l.head].ready {
		return in, false
	}
	l.spare, l.queue[l.head] = l.queue[l.head], nil
	in, *l.spare = *l.spare, incoming{}
	if l.head++; l.empty() {
		l.queue, l.head = l.queue[:0], 0
	}
	return in, true
}

func (l *lane) empty() bool { return l.head == len(l.queue) }

// parts tells whether operations are under way that report their end.
func (w *wire) parts() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) > 0
}

// note sends a head of its own kind.
func (w *wire) note(peer int, id uint64, kind byte, rest ...byte) error {
	return w.queue(peer, trail(rest, id, kind))
}

// frame queues a frame. It returns nil when all of it was copied, else the transfer of its parts, whose waiter is the
// given one.
func (w *wire) frame(peer int, id uint64, f link.Frame, waiter *parking) (*transfer, error) {
	if len(f.Segments) == 0 && len(f.Stream) <= longest-tail {
		b := trail(f.Stream, id, kindFrame)
		err := w.queue(peer, b)
		link.PutBuffer(b)
		return nil, err
	}
	w.sending.Lock()
	defer w.sending.Unlock()
	head, asPart, err := w.head(peer, id, f)
	if err != nil {
		return nil, err
	}
	err = w.queue(peer, head)
	link.PutBuffer(head)
	t := &transfer{left: 1, waiter: waiter}
	if asPart {
		t.stream = f.Stream
		err = errors.Join(err, w.part(peer, f.Stream, t))
	}
	for _, s := range f.Segments {
		if len(s) > 0 && err == nil {
			err = w.part(peer, s, t)
		}
	}
	if w.finish(t, err) {
		return nil, t.err
	}
	return t, nil
}

// head sends the lengths that need heads of their own, and returns the frame's.
func (w *wire) head(peer int, id uint64, f link.Frame) (head []byte, asPart bool, err error) {
	segments := f.Segments
	for len(segments) > lengths {
		b := appendLengths(link.GetBuffer(), segments[:lengths])
		b = binary.LittleEndian.AppendUint32(b, lengths)
		if err := w.queue(peer, trail(b, id, kindLength)); err != nil {
			return nil, false, err
		}
		segments = segments[lengths:]
	}
	const fixed = lengthSize + 4 + tail
	asPart = len(f.Stream)+lengthSize*len(segments)+fixed > longest
	head, apart := f.Stream, uint64(0)
	if asPart {
		head, apart = link.GetBuffer(), uint64(len(f.Stream))
	}
	head = appendLengths(head, segments)
	head = binary.LittleEndian.AppendUint64(head, apart)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(segments)))
	return trail(head, id, kindParts), asPart, nil
}

func appendLengths(b []byte, segments [][]byte) []byte {
	for _, s := range segments {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	}
	return b
}

// part queues a segment, or a stream, of t.
func (w *wire) part(peer int, data []byte, t *transfer) error {
	return inParts(data, func(data []byte) error {
		token := w.add(t, len(data))
		copied, err := w.port.Send(peer, partTag, data, token)
		if copied || err != nil {
			w.drop(token)
		}
		return err
	})
}

// add counts an operation and returns its token.
func (w *wire) add(t *transfer, n int) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[uint64]operation{}
	}
	w.next++
	w.open[w.next] = operation{t, n}
	t.left++
	return w.next
}

// drop forgets an operation that will not report.
func (w *wire) drop(token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[token].of.left--
	delete(w.open, token)
}

// finish says that all of t is queued. It returns true when nothing is under way any more.
func (w *wire) finish(t *transfer, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		t.err = err
	}
	t.left--
	if t.left == 0 && t.stream != nil {
		link.PutBuffer(t.stream)
	}
	return t.left == 0
}

// settle takes the end of an operation. It returns the transfer that this completes, or nil.
func (w *wire) settle(e *mpi.Event) *transfer {
	w.mu.Lock()
	defer w.mu.Unlock()
	op := w.open[e.Token]
	t := op.of
	if t == nil {
		return nil
	}
	delete(w.open, e.Token)
	if e.Err != nil {
		t.err = e.Err
	} else if e.Len != op.len {
		t.err = fmt.Errorf("%w: a part of %d bytes came where %d were announced", errHead, e.Len, op.len)
	} else if w.moved != nil {
		w.moved(e.Peer)
	}
	if t.left--; t.left > 0 {
		return nil
	}
	if t.stream != nil {
		link.PutBuffer(t.stream)
	}
	if t.in != nil {
		t.in.ready, t.in.err = true, t.err
		t.from.coming -= t.size
	}
	return t
}

// receive takes a head of one of the three kinds of a frame, without its tail, into the worker's lane. Data is only read
// during the call.
func (w *wire) receive(l *lane, peer int, kind byte, data []byte) error {
	switch kind {
	case kindFrame:
		l.push(incoming{frame: link.Frame{Stream: append(link.GetBuffer(), data...)}, ready: true})
		return nil
	case kindLength:
		_, err := w.addLengths(l, data)
		return err
	}
	n := len(data) - 4 - lengthSize
	if n < 0 {
		return errHead
	}
	apart := binary.LittleEndian.Uint64(data[n:])
	count := binary.LittleEndian.Uint32(data[n+lengthSize:])
	data, err := w.addLengths(l, binary.LittleEndian.AppendUint32(data[:n:n], count))
	if err == nil {
		err = w.affords(l, apart)
	}
	if err != nil {
		return err
	}
	in, size := l.push(incoming{}), l.sum+apart
	t := &transfer{left: 1, in: in, from: l, size: size}
	memory := fresh.Bytes
	if l.coming += size; l.coming > leastDoubted {
		memory = fresh.Lazy
	}
	if apart > 0 {
		in.frame.Stream = streamOf(int(apart), memory)
		err = w.take(peer, in.frame.Stream, t)
	} else {
		in.frame.Stream = append(link.GetBuffer(), data...)
	}
	if len(l.lengths) > 0 {
		in.frame.Segments = make([][]byte, len(l.lengths))
	}
	for i, n := range l.lengths {
		in.frame.Segments[i] = memory(n)
		if n > 0 && err == nil {
			err = w.take(peer, in.frame.Segments[i], t)
		}
	}
	l.sum = 0
	l.lengths = nil
	if w.finish(t, err) {
		in.ready, in.err = true, t.err
		l.coming -= size
	}
	return err
}

// pooled is how long a stream is at most that comes into memory of the pool.
const pooled = 64 << 10

// streamOf returns memory for a stream of n bytes.
func streamOf(n int, memory func(int) []byte) []byte {
	if n > pooled {
		return memory(n)
	}
	return slices.Grow(link.GetBuffer(), n)[:n]
}

// affords refuses what cannot be received: n bytes more than what a lane has announced already.
func (w *wire) affords(l *lane, n uint64) error {
	if left := w.limit - min(l.coming+l.sum, w.limit); n > left {
		return fmt.Errorf("%w: %d bytes are announced, and this process can have %d", errHead, n, left)
	}
	return nil
}

// take queues the receive of a segment, or a stream, of t.
func (w *wire) take(peer int, into []byte, t *transfer) error {
	return inParts(into, func(into []byte) error {
		token := w.add(t, len(into))
		err := w.post(peer, partTag, into, token)
		if err != nil {
			w.drop(token)
		}
		return err
	})
}

// addLengths takes the lengths off the end of data, which ends in their number.
func (w *wire) addLengths(l *lane, data []byte) (rest []byte, err error) {
	n := len(data) - 4
	if n < 0 {
		return nil, errHead
	}
	count := uint64(binary.LittleEndian.Uint32(data[n:]))
	if count > uint64(n/lengthSize) {
		return nil, errHead
	}
	at := n - lengthSize*int(count)
	for p := data[at:n]; len(p) > 0; p = p[lengthSize:] {
		v := binary.LittleEndian.Uint64(p)
		if err := w.affords(l, v); err != nil {
			return nil, err
		}
		l.lengths, l.sum = append(l.lengths, int(v)), l.sum+v
	}
	return data[:at], nil
}
