package resultlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// How much may wait for the file. A recorder waits for room beyond that, but for no longer than roomWait, and not at all while the file cannot be written:
// what it has is not recorded then.
const (
	mostWaiting = 256 << 20
	roomWait    = 10 * time.Second
)

// Intervals of the writer.
const (
	syncEvery = time.Second // the system is asked to put what was written to the disk
	tryEvery  = time.Second // a file that could not be written is tried again
)

// piece is what is written with one call, or a large record.
type piece struct {
	b     []byte   // records; of a large one its layout and its stream
	large [][]byte // what follows
	head  record   // of the large one
	count int      // results and failures in it
}

func (p *piece) bytes() int {
	n := len(p.b)
	for _, s := range p.large {
		n += len(s)
	}
	return n
}

// writer appends records to the file on a goroutine of its own, and has them put to the disk on another.
type writer struct {
	l *Log

	mu      sync.Mutex
	wake    sync.Cond // something waits, or the end
	room    sync.Cond // something was written, or cannot be
	waiting []piece
	bytes   int
	entries int // results and failures that wait
	closed  bool
	failing bool // the file could not be written
	dropped int  // results that were not recorded since it was last told
	lost    int  // in all
	unknown int  // of those, calls that were not looked up
	fault   error
	timed   time.Time // of the last record of a time

	end int64 // of the file; only the goroutine that writes has it

	written chan struct{} // 1 deep: there is something to put to the disk
	quit    chan struct{} // it is closed when nothing is written any more
	done    sync.WaitGroup
}

func (w *writer) start(l *Log) {
	w.l = l
	w.wake.L = &w.mu
	w.room.L = &w.mu
	w.written, w.quit = make(chan struct{}, 1), make(chan struct{})
	w.done.Go(w.write)
	w.done.Go(w.sync)
}

const pieceSize = 256 << 10

// small queues a record that is not large.
func (w *writer) small(k kind, fn uint32, key Key, parts ...[]byte) {
	size := recordHead
	for _, p := range parts {
		size += len(p)
	}
	entry := k == kindResult || k == kindFailure
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.admit(size, entry, k == kindResult) {
		return
	}
	if now := time.Now(); entry && now.Sub(w.timed) > time.Second {
		w.timed = now
		w.add(kindTime, 0, Key{Hi: uint64(now.UnixNano())}, nil, false)
	}
	w.add(k, fn, key, parts, entry)
	w.wake.Signal()
}

// add appends a record to the last piece. The lock is held.
func (w *writer) add(k kind, fn uint32, key Key, parts [][]byte, entry bool) {
	n := len(w.waiting)
	if n == 0 || w.waiting[n-1].large != nil || len(w.waiting[n-1].b) > pieceSize {
		w.waiting = append(w.waiting, piece{})
		n++
	}
	p := &w.waiting[n-1]
	from := len(p.b)
	var head [recordHead]byte
	p.b = append(p.b, head[:]...)
	for _, part := range parts {
		p.b = append(p.b, part...)
	}
	body := p.b[from+recordHead:]
	r := record{kind: k, fn: fn, key: key, size: int64(len(body)), check: bodyCheck(w.l.seed, body)}
	r.appendHead(p.b[:from], w.l.seed)
	if entry {
		p.count++
	}
	w.bytes += len(p.b) - from
}

// admit waits for room, if it may. It is false if there is none, and then what was to be recorded is counted. The lock is held.
func (w *writer) admit(size int, entry, wait bool) bool {
	full := func() bool { return !w.closed && w.fault == nil && w.bytes > 0 && w.bytes+size > mostWaiting }
	if wait && full() && !w.failing {
		late := false
		t := time.AfterFunc(roomWait, func() {
			w.mu.Lock()
			late = true
			w.mu.Unlock()
			w.room.Broadcast()
		})
		for full() && !w.failing && !late {
			w.room.Wait()
		}
		t.Stop()
	}
	if full() || w.closed || w.fault != nil {
		return w.drop(entry)
	}
	if entry {
		w.entries++
	}
	return true
}

// drop counts a result that is not recorded. The lock is held.
func (w *writer) drop(entry bool) bool {
	if entry {
		if w.dropped++; w.dropped == 1 && !w.failing && !w.closed && w.fault == nil {
			w.l.warn(fmt.Sprintf("journal %s: the file system is slower than the results come: some are not recorded, and would run again", w.l.path))
		}
		w.lost++
	}
	return false
}

// full tells whether the file cannot be written now.
func (w *writer) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing
}

// unasked counts a call whose result is not recorded because the index could not be read.
func (w *writer) unasked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
	w.unknown++
}

// large queues a record whose body is large. What it is made of belongs to the log from here on.
func (w *writer) large(r record, layout, stream []byte, segments [][]byte) {
	p := piece{b: append(layout, stream...), large: segments, head: r, count: 1}
	if p.large == nil {
		p.large = [][]byte{}
	}
	size := p.bytes()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.admit(size, true, true) {
		return
	}
	w.waiting = append(w.waiting, p)
	w.bytes += size
	w.wake.Signal()
}

// write is the goroutine that writes.
func (w *writer) write() {
	defer close(w.quit)
	var out []piece
	for {
		w.mu.Lock()
		for len(w.waiting) == 0 && !w.closed {
			w.wake.Wait()
		}
		out, w.waiting = w.waiting, out[:0]
		closed := w.closed
		w.mu.Unlock()
		if len(out) == 0 && closed {
			return
		}
		for i := range out {
			if !w.append(&out[i]) {
				w.forget()
				return
			}
			w.mu.Lock()
			w.bytes -= out[i].bytes()
			w.entries -= out[i].count
			w.mu.Unlock()
			w.room.Broadcast()
			out[i] = piece{}
		}
	}
}

// forget counts what is left when nothing can be written any more.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += w.entries
	w.waiting, w.bytes, w.entries = nil, 0, 0
	w.room.Broadcast()
}

// append writes a piece, and tries again until it is written. It is false if it never will be: the claim is lost, or the log was closed meanwhile.
func (w *writer) append(p *piece) bool {
	for {
		if err := w.l.claim.holds(); err != nil && w.l.claim.gone() {
			w.mu.Lock()
			w.fault = err
			w.mu.Unlock()
			w.l.warn(err.Error())
			return false
		}
		err := w.put(p)
		w.mu.Lock()
		was, closed := w.failing, w.closed
		w.failing = err != nil
		dropped := w.dropped
		if err == nil {
			w.dropped = 0
		}
		if err != nil && closed {
			w.fault = err
		}
		w.mu.Unlock()
		w.room.Broadcast()
		switch {
		case err == nil && was:
			w.l.warn(fmt.Sprintf("journal %s: it is written again; %d results were not recorded meanwhile, and would run again", w.l.path, dropped))
			return true
		case err == nil:
			return true
		case closed:
			return false
		case !was:
			w.l.warn(fmt.Sprintf("journal %s cannot be written: %v: the job goes on; what is not recorded would run again. It is tried again every %v", w.l.path, err, tryEvery))
		}
		w.pause()
	}
}

// pause waits before the next try, or until the log is closed.
func (w *writer) pause() {
	for end := time.Now().Add(tryEvery); time.Now().Before(end); time.Sleep(tryEvery / 50) {
		w.mu.Lock()
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return
		}
	}
}

// put writes a piece at the end of the file. If that fails the file is as before.
func (w *writer) put(p *piece) error {
	at := w.end
	var parts [][]byte
	if p.large == nil {
		parts = [][]byte{p.b}
	} else {
		all := append([][]byte{p.b}, p.large...)
		p.head.check = bodyCheck(w.l.seed, all...)
		parts = append([][]byte{p.head.appendHead(nil, w.l.seed)}, all...)
	}
	for _, b := range parts {
		n, err := w.l.file.WriteAt(b, at)
		at += int64(n)
		if err == nil && n < len(b) {
			err = errors.New("a write has ended early")
		}
		if err != nil {
			_ = w.l.file.Truncate(w.end) // else the next write overwrites it, or the next opening drops it
			return err
		}
	}
	w.end = at
	select {
	case w.written <- struct{}{}:
	default:
	}
	return nil
}

// sync is the goroutine that has the system put what was written to the disk, once a second at most.
func (w *writer) sync() {
	told := false
	for {
		select {
		case <-w.quit:
			return
		case <-w.written:
		}
		if err := w.l.file.Sync(); err != nil && !told {
			told = true
			w.l.warn(fmt.Sprintf("journal %s: the system could not put it to the disk: %v: what was recorded may be lost if the machine fails now", w.l.path, err))
		} else if err == nil {
			told = false
		}
		t := time.NewTimer(syncEvery)
		select {
		case <-w.quit:
		case <-t.C:
		}
		t.Stop()
	}
}

// flush waits until what was recorded before is written, or ctx ends, or it cannot be written.
func (w *writer) flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock() // else the wait may begin behind it
		defer w.mu.Unlock()
		w.room.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.bytes > 0 && w.fault == nil && !w.failing && ctx.Err() == nil {
		w.room.Wait()
	}
	if w.fault == nil && w.bytes > 0 && !w.failing {
		return context.Cause(ctx)
	}
	return w.fault
}

// close ends the goroutines when all is written.
func (w *writer) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.wake.Broadcast()
	w.mu.Unlock()
	over := make(chan error, 1)
	go func() {
		w.done.Wait()
		w.mu.Lock()
		fault := w.fault
		w.mu.Unlock()
		err := w.l.file.Sync()
		over <- errors.Join(fault, err, w.l.file.Close())
	}()
	var err error
	select {
	case err = <-over:
	case <-ctx.Done():
		w.mu.Lock()
		w.lost += w.entries
		w.mu.Unlock()
		err = fmt.Errorf("the file system does not answer: %w", context.Cause(ctx))
	}
	w.mu.Lock()
	lost, unknown := w.lost, w.unknown
	w.mu.Unlock()
	if unknown > 0 {
		w.l.warn(fmt.Sprintf("journal %s: its index could not be read for %d calls: they were not recorded, and would run again", w.l.path, unknown))
	}
	switch {
	case lost > 0 && err != nil:
		return fmt.Errorf("%d results are not recorded, and would run again: %w", lost, err)
	case lost > 0:
		return fmt.Errorf("%d results are not recorded, and would run again", lost)
	}
	return err
}

// Record records the result of a call under the key that Submit gave. Nothing is kept of the stream. Segments of which the caller hands over the memory are
// written from where they are, so they must be left alone; with copied they are copied.
func (l *Log) Record(f *Func, k Key, stream []byte, segments [][]byte) {
	var room [32]byte
	layout := appendLayout(room[:0], segments)
	size := len(layout) + len(stream)
	for _, s := range segments {
		size += len(s)
	}
	if size < largeBody {
		if len(segments) == 0 {
			l.out.small(kindResult, f.number, k, layout, stream)
			return
		}
		l.out.small(kindResult, f.number, k, append([][]byte{layout, stream}, segments...)...)
		return
	}
	own := make([][]byte, len(segments))
	for i, s := range segments {
		own[i] = append([]byte(nil), s...)
	}
	l.out.large(record{kind: kindResult, fn: f.number, key: k, size: int64(size), large: true}, append([]byte(nil), layout...), stream, own)
}

// Failed records that a call has failed, and with which text.
func (l *Log) Failed(f *Func, k Key, text string) {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(time.Now().UnixNano()))
	l.out.small(kindFailure, f.number, k, at[:], []byte(cutText(text)))
}

// cutText keeps a text below the size of a large body.
func cutText(s string) string {
	const most = 32 << 10
	if len(s) <= most {
		return s
	}
	return s[:most] + " …"
}

// Flush waits until what was recorded before is written to the file, or ctx ends.
func (l *Log) Flush(ctx context.Context) error { return l.out.flush(ctx) }
