//go:build unix

package proc

import (
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link"
)

const (
	// mostVectors is how many pieces one system call takes; every Unix takes as many.
	mostVectors = 1024

	// mostWritten is how many bytes one system call takes: Linux stops short of 2 GiB, others refuse more.
	mostWritten = 1 << 30

	// largestJoined is the size up to which a stream is copied behind its header, which is cheaper than a second vector.
	largestJoined = 4096
)

// outbox writes frames to a socket. The sender writes as long as the socket takes everything; the rest is written by a
// goroutine that exists only while something is queued.
type outbox struct {
	mu       sync.Mutex
	raw      syscall.RawConn // nil until the socket exists
	ring     *ring           // likewise
	number   uint64          // of the last frame
	shown    uint32          // how many frames were shown
	spin     time.Duration   // of the next wait until they are fetched
	held     []held          // what of them the receiver has not fetched when somebody looked last
	look     *time.Timer     // lets go of held; nil unless something was held
	pause    time.Duration   // until it looks again
	chunks   []chunk
	head     int
	writer   chan struct{} // closed when the writer ends; nil when there is none
	finished bool          // the socket's sending side is shut down when all is written
	broken   bool          // nothing can be sent any more

	// The state of one write, which either the writer or whoever holds mu without a writer has.
	vectors [][]byte
	written int
	moved   atomic.Uint64 // bytes that were written when the socket had been full: the receiver has made room
	err     error
	wait    bool
	attempt func(fd uintptr) bool // try, bound once so that a write does not allocate
}

// chunk is a piece of a frame, and the buffer that is free when it has been written.
type chunk struct {
	b    []byte
	free []byte
}

func newOutbox() *outbox {
	o := new(outbox)
	o.attempt = o.try
	return o
}

// connect gives the socket and the ring to an outbox that may hold frames already.
func (o *outbox) connect(raw syscall.RawConn, ring *ring) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.raw, o.ring = raw, ring
	ring.last.Store(o.number)
	if o.head < len(o.chunks) {
		o.startWriter()
	} else if o.finished {
		o.shutDown()
	}
}

// send queues a frame and writes what the socket takes at once.
func (o *outbox) send(f link.Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.finished {
		link.PutBuffer(f.Stream)
		return
	}
	o.letGo()
	before := o.shown
	done := o.rung(f)
	if o.shown != before {
		o.hold(f.Segments)
	}
	if done || o.raw == nil || o.writer != nil {
		return
	}
	o.wait = false
	o.gather()
	o.write()
	if !o.broken && o.head < len(o.chunks) {
		o.startWriter()
	}
}

// sendAll writes a frame and returns when it has left.
func (o *outbox) sendAll(f link.Frame) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.finished {
		link.PutBuffer(f.Stream)
		return io.ErrClosedPipe
	}
	before := o.shown
	if !o.rung(f) {
		if err := o.flush(); err != nil {
			return err
		}
	}
	if o.shown == before {
		return nil
	}
	defer runtime.KeepAlive(f.Segments) // what is shown is no reference
	return o.awaitFetch()
}

// sign writes a sign behind what is queued.
func (o *outbox) sign(kind uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.chunks = append(o.chunks, chunk{b: sign(kind)})
	return o.flush()
}

// close writes a last message and refuses what comes after it.
func (o *outbox) close(last []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.finished {
		return nil
	}
	o.finished = true
	o.chunks = append(o.chunks, chunk{b: last})
	return o.flush()
}

// flush writes everything. The caller holds mu.
func (o *outbox) flush() error {
	o.wait = true
	for o.head < len(o.chunks) && !o.broken {
		o.gather()
		o.write()
	}
	if o.broken {
		return os.NewSyscallError("writev", o.err)
	}
	return nil
}

// rung puts a frame into the ring, or else queues it for the socket. It returns false when something is to be written. The
// caller holds mu.
func (o *outbox) rung(f link.Frame) bool {
	o.number++
	if o.ring == nil {
		o.queue(f, kindFrame)
		return false
	}
	kind := kindFrame
	worth, long := worthShowing(f)
	if worth && o.ring.able.Load() != 0 {
		kind = kindShown
		o.shown++
		o.ring.shown.Store(o.shown)
	}
	if (kind == kindShown && !long || len(f.Segments) == 0) && o.ring.put(o.number, f) {
		link.PutBuffer(f.Stream)
		if o.ring.awake.Load() != 0 {
			return true
		}
		// It went to sleep meanwhile, and may not have seen the frame.
		o.chunks = append(o.chunks, chunk{b: sign(kindWake)})
		return false
	}
	o.ring.last.Store(o.number)
	o.queue(f, kind)
	return false
}

// queue takes a frame apart. The caller holds mu.
func (o *outbox) queue(f link.Frame, kind uint32) {
	if o.head > mostVectors && o.head > len(o.chunks)/2 { // a writer that never catches up must not keep what it wrote
		n := copy(o.chunks, o.chunks[o.head:])
		clear(o.chunks[n:])
		o.chunks, o.head = o.chunks[:n], 0
	}
	h := appendHeader(link.GetBuffer(), f, kind)
	if len(f.Stream) <= largestJoined {
		h = append(h, f.Stream...)
		o.chunks = append(o.chunks, chunk{h, h})
		link.PutBuffer(f.Stream)
	} else {
		o.chunks = append(o.chunks, chunk{h, h}, chunk{f.Stream, f.Stream})
	}
	if kind == kindShown {
		return
	}
	for _, s := range f.Segments {
		if len(s) > 0 {
			o.chunks = append(o.chunks, chunk{b: s})
		}
	}
}

// startWriter starts the goroutine that writes what is queued. The caller holds mu.
func (o *outbox) startWriter() {
	done := make(chan struct{})
	o.writer = done
	go func() {
		defer close(done)
		o.mu.Lock()
		defer o.mu.Unlock()
		for o.head < len(o.chunks) && !o.broken {
			o.wait = true
			o.gather()
			o.mu.Unlock()
			err := o.raw.Write(o.attempt)
			o.mu.Lock()
			o.moved.Add(uint64(o.written))
			o.settle(err)
		}
		o.writer = nil
		if o.finished && !o.broken {
			o.shutDown()
		}
	}()
}

// gather takes as many pieces as one system call can. The caller holds mu.
func (o *outbox) gather() {
	o.vectors = o.vectors[:0]
	room := mostWritten
	for _, c := range o.chunks[o.head:min(len(o.chunks), o.head+mostVectors)] {
		o.vectors = append(o.vectors, c.b[:min(len(c.b), room)])
		if room -= len(c.b); room <= 0 {
			return
		}
	}
}

// write writes what was gathered. The caller holds mu.
func (o *outbox) write() { o.settle(o.raw.Write(o.attempt)) }

// try is one system call. It returns false when the socket is full and the caller wants to wait.
func (o *outbox) try(fd uintptr) bool {
	for {
		if len(o.vectors) == 1 {
			o.written, o.err = unix.Write(int(fd), o.vectors[0])
		} else {
			o.written, o.err = writev(int(fd), o.vectors)
		}
		switch o.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			o.written, o.err = 0, nil
			return !o.wait
		}
		return true
	}
}

// settle removes what was written. The caller holds mu.
func (o *outbox) settle(err error) {
	clear(o.vectors)
	if err == nil {
		err = o.err
	}
	if err != nil {
		o.err = err
		o.abandon()
		return
	}
	n := o.written
	o.written = 0
	for o.head < len(o.chunks) && n >= len(o.chunks[o.head].b) {
		c := &o.chunks[o.head]
		n -= len(c.b)
		if c.free != nil {
			link.PutBuffer(c.free)
		}
		*c = chunk{}
		o.head++
	}
	if o.head == len(o.chunks) {
		o.chunks, o.head = o.chunks[:0], 0
		if cap(o.chunks) > mostVectors {
			o.chunks = nil
		}
	} else {
		o.chunks[o.head].b = o.chunks[o.head].b[n:]
	}
}

// abandon gives up what is queued. The caller holds mu.
func (o *outbox) abandon() {
	o.broken = true
	if o.err == nil {
		o.err = io.ErrClosedPipe
	}
	o.chunks, o.head = nil, 0
}

// finish lets the other side read its end of file after what is queued.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return
	}
	o.finished = true
	if o.raw != nil && o.writer == nil && !o.broken {
		o.shutDown()
	}
}

func (o *outbox) shutDown() {
	_ = o.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
}

// stop gives up what is queued and returns when nobody reads the callers' memory any more. The socket must be closed.
func (o *outbox) stop() {
	o.mu.Lock()
	o.abandon()
	writer := o.writer
	o.mu.Unlock()
	if writer != nil {
		<-writer
	}
}
