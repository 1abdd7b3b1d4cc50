//go:build unix

// Package lines passes on what programs print, whole line by whole line, each behind a prefix.
package lines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/screen"
)

// longest is how long a line may become until it is passed on in pieces.
const longest = 1 << 20

// Relay reads a pipe and writes what comes by lines, until nobody has the pipe's other end any more. What has no end of line
// gets one at the end, or the next writer would go on in it.
//
// Each write has whole lines, so those of several relays to one *os.File do not mix; nor do those to one pipe, if lines are no longer than
// what a pipe keeps together. When writing fails, as to a pipe that nobody
// reads, the relay goes on reading and drops what it reads: whoever prints must not be held up for good.
type Relay struct {
	prefix []byte
	to     io.Writer
	chunk  int    // of what is written at once, as far as lines are not longer; 0: anything
	ready  func() // called before each write
	pipe   *os.File
	part   []byte // of a line that has not ended
	out    []byte
	broken bool // to has failed

	mu      sync.Mutex
	waiting []chan struct{} // closed when what was printed is passed on
	done    chan struct{}   // closed at the end
}

// Start returns a relay and the end of its pipe to print to. The caller closes that when others have it.
func Start(prefix string, to io.Writer) (*Relay, *os.File, error) {
	return start(prefix, to, 0, func() {})
}

// pipeChunk is how much may be written to a pipe so that it stays together (PIPE_BUF of Linux; POSIX guarantees 512).
const pipeChunk = 4096

func start(prefix string, to io.Writer, chunk int, ready func()) (*Relay, *os.File, error) {
	if f, ok := to.(*os.File); ok && chunk == 0 { // others may write to the same pipe by another *os.File, as with 2>&1
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
			chunk = pipeChunk
		}
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("a pipe for output: %w", err)
	}
	if f, ok := to.(*os.File); ok {
		to = screen.Above(f, f)
	}
	r := &Relay{prefix: []byte(prefix), to: to, chunk: chunk, ready: ready, pipe: ours, done: make(chan struct{})}
	go r.run()
	return r, theirs, nil
}

// Drain blocks until all that had been printed before the call has been passed on, or until limit is over, and tells whether it has.
// The process at the other end may print on.
func (r *Relay) Drain(limit time.Duration) bool {
	reached := make(chan struct{})
	r.mu.Lock()
	r.waiting = append(r.waiting, reached)
	_ = r.pipe.SetReadDeadline(time.Now()) // wakes run; after the end nobody needs it
	r.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-reached:
	case <-r.done:
	case <-timer.C:
		return false
	}
	return true
}

func (r *Relay) run() {
	defer close(r.done)
	defer r.pipe.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.pipe.Read(buf)
		r.take(buf[:n])
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.passAll(buf)
		default: // the end of file
			r.endLine()
			return
		}
	}
}

// passAll passes on all that is there, without waiting for more, and tells those who wait for that.
func (r *Relay) passAll(buf []byte) {
	r.mu.Lock()
	waiting := r.waiting
	r.waiting = nil
	_ = r.pipe.SetReadDeadline(time.Time{})
	r.mu.Unlock()
	if raw, err := r.pipe.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			for {
				n, err := unix.Read(int(fd), buf)
				if err == unix.EINTR {
					continue
				}
				if err != nil || n <= 0 {
					return
				}
				r.take(buf[:n])
			}
		})
	}
	r.endLine()
	for _, c := range waiting {
		close(c)
	}
}

// take passes on the lines that b ends.
func (r *Relay) take(b []byte) {
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		if r.part = append(r.part, b...); len(r.part) >= longest {
			r.endLine()
		}
		return
	}
	r.out = r.out[:0]
	for line := range bytes.Lines(b[:end]) {
		if n := len(r.prefix) + len(r.part) + len(line); r.chunk > 0 && len(r.out) > 0 && len(r.out)+n > r.chunk {
			r.write()
			r.out = r.out[:0]
		}
		r.out = append(r.out, r.prefix...)
		r.out = append(r.out, r.part...)
		r.out = append(r.out, line...)
		r.part = r.part[:0]
	}
	r.part = append(r.part, b[end:]...)
	r.write()
}

// endLine passes on what has no end of line.
func (r *Relay) endLine() {
	if len(r.part) == 0 {
		return
	}
	r.out = append(append(append(r.out[:0], r.prefix...), r.part...), '\n')
	r.part = r.part[:0]
	r.write()
}

func (r *Relay) write() {
	if r.broken {
		return
	}
	r.ready()
	_, err := r.to.Write(r.out)
	r.broken = err != nil
}
