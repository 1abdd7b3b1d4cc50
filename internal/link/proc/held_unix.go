//go:build unix

package proc

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// How often a sender that does nothing else looks whether what it holds was fetched.
const (
	leastPause = 10 * time.Millisecond
	mostPause  = time.Second
)

// hold keeps what was shown last until it was fetched. The caller holds mu.
func (o *outbox) hold(segments [][]byte) {
	o.held = append(o.held, held{number: o.shown, segments: segments})
	if o.look == nil {
		o.pause = leastPause
		o.look = time.AfterFunc(o.pause, o.lookAgain)
	}
}

// letGo drops what was fetched. The caller holds mu.
func (o *outbox) letGo() {
	n, fetched := 0, uint32(0)
	if len(o.held) > 0 {
		fetched = o.ring.fetched.Load()
	}
	for n < len(o.held) && int32(fetched-o.held[n].number) >= 0 {
		n++
	}
	if n > 0 {
		o.held = append(o.held[:0], o.held[n:]...)
		clear(o.held[len(o.held) : len(o.held)+n])
		o.pause = leastPause
	}
}

// lookAgain is what the timer does: nothing else may happen here for long after the last frame.
func (o *outbox) lookAgain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.letGo()
	if len(o.held) == 0 || o.look == nil {
		o.look = nil
		return
	}
	o.look.Reset(o.pause)
	o.pause = min(2*o.pause, mostPause)
}

// forget drops all that is held: the receiver's process has ended.
func (o *outbox) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = nil // and so the timer will not look into memory that another worker has, or nobody
	if o.look != nil {
		o.look.Stop()
		o.look = nil
	}
}

// How long a sender looks for the fetch before it sleeps, longer while that pays, and how long it sleeps before it looks
// whether the receiver is there at all.
const (
	leastFetchSpin = 10 * time.Microsecond
	mostFetchSpin  = 500 * time.Microsecond // the fetch of 4 MiB
	fetchSleep     = 100 * time.Millisecond
)

// awaitFetch returns when the receiver has fetched what was shown last, or will not. The caller holds mu.
func (o *outbox) awaitFetch() error {
	d := &o.ring.handover
	begin := time.Now()
	for n := 1; d.fetched.Load() != o.shown; n++ {
		if n%16 > 0 || time.Since(begin) < o.spin {
			continue
		}
		o.spin = max(o.spin/2, leastFetchSpin)
		if !o.sleep(d) {
			o.abandon()
			return io.ErrClosedPipe
		}
		return nil
	}
	o.spin = min(2*o.spin+leastFetchSpin, mostFetchSpin)
	return nil
}

// sleep returns true when the receiver has fetched what was shown last, and false when it has closed its end.
func (o *outbox) sleep(d *handover) bool {
	d.waiting.Store(1)
	defer d.waiting.Store(0)
	for {
		have := d.fetched.Load()
		if have == o.shown {
			return true
		}
		sleep(d.fetched, have, fetchSleep)
		if d.fetched.Load() == have && o.alone() {
			return false
		}
	}
}

// alone tells whether the other end of the socket is closed. The caller holds mu.
func (o *outbox) alone() bool {
	closed := true
	err := o.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		closed = n > 0 && err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
	return closed || err != nil
}
