//go:build unix

package proc

import (
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// How long a receiver looks into the ring before it sleeps. It looks longer while that pays, and after a sleep that was over
// soon: then two sides that sleep and wake each other in turns get out of that.
const (
	leastSpin = 5 * time.Microsecond
	mostSpin  = 80 * time.Microsecond
	soon      = 600 * time.Microsecond
)

// spinFor is the time for the next look, after one that was worth it or not.
func spinFor(last time.Duration, paid bool) time.Duration {
	if paid {
		return min(2*last, mostSpin)
	}
	return max(last/2, leastSpin)
}

// inbox is where a worker's frames come from: the ring and the socket.
type inbox struct {
	socket *reader
	ring   *ring
	over   *atomic.Bool
	number uint64 // of the last frame
	spin   time.Duration
	waits  time.Time // since when, as of the last look

	early *link.Frame // from the socket, to follow frames that are in the ring
	err   error       // of the socket
}

// frame blocks until the next frame.
func (b *inbox) frame() (link.Frame, error) {
	for {
		// In this order: of what went by the socket before the look into the ring, what went by the ring before is there.
		last := b.ring.last.Load()
		f, ok, err := b.ring.take(b.number + 1)
		switch {
		case ok:
			b.number++
			return f, nil
		case err != nil:
			return f, err
		case b.early != nil:
			f, b.early = *b.early, nil
			b.number++
			return f, nil
		case b.err != nil:
			return f, b.err
		case last > b.number || !b.await():
			b.read()
		}
	}
}

// await tells whether there is something to look for before sleep is due.
func (b *inbox) await() bool {
	begin := time.Now()
	for n := 1; ; n++ {
		if b.ring.some() {
			b.spin = spinFor(b.spin, true)
			return true
		}
		if n%16 > 0 {
			continue
		}
		if b.ring.last.Load() > b.number {
			return true
		}
		if b.over.Load() {
			return false
		}
		if time.Since(begin) > b.spin {
			break
		}
	}
	b.waits = begin
	b.spin = spinFor(b.spin, false)
	b.ring.awake.Store(0)
	return b.ring.some() // what is put in from now on comes with a wake
}

// read waits for the socket.
func (b *inbox) read() {
	f, kind, err := b.socket.frame()
	if time.Since(b.waits) < soon {
		b.spin = mostSpin
	}
	b.ring.awake.Store(1)
	switch {
	case err != nil:
		b.err = err
	case kind == kindFrame:
		b.early = &f
	case kind != kindWake:
		b.err = errWire
	}
}
