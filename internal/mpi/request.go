package mpi

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// AnySource and AnyTag match every rank and every tag in a receive or a probe.
const (
	AnySource = -1
	AnyTag    = -1
)

// Status describes a message.
type Status struct {
	Source, Tag int
	Len         int // bytes
}

// Request is one operation under way. It owns its buffer until it is done: the memory is pinned, and must not be written
// (a send) or read (a receive). Whoever starts one waits for it, tests it, or leaves it: a request that is dropped stays
// in a table, pinned, until it is tested again or the process ends. Its methods may be called together.
type Request struct {
	mu     sync.Mutex
	op     string
	handle uintptr
	recv   bool
	bytes  int
	pin    runtime.Pinner
	done   bool
	lost   bool
	status Status
	err    error
}

// underWay holds every request that is not done. A Pinner that became garbage would end the process.
var underWay struct {
	sync.Mutex
	set map[*Request]struct{}
	// kept is what ports gave up with: memory that a library may still write.
	kept []any
}

// UnderWay returns how many requests are not done, those to lost ranks included.
func UnderWay() int {
	underWay.Lock()
	defer underWay.Unlock()
	return len(underWay.set)
}

// keep holds on to memory for the rest of the process.
func keep(v any) {
	underWay.Lock()
	defer underWay.Unlock()
	underWay.kept = append(underWay.kept, v)
}

// begun makes a request out of an operation that launch starts on the memory of buf, inside enter and leave.
func begun(op string, recv bool, buf []byte, launch func(address uintptr) (handle uintptr, code int)) (*Request, error) {
	r := &Request{op: op, recv: recv, bytes: len(buf)}
	address := hold(&r.pin, buf)
	h, code := launch(address)
	if code != 0 {
		r.pin.Unpin()
		return nil, failure(op, code)
	}
	r.handle = h
	underWay.Lock()
	if underWay.set == nil {
		underWay.set = make(map[*Request]struct{})
	}
	underWay.set[r] = struct{}{}
	underWay.Unlock()
	return r, nil
}

// Test tells whether the operation is over, and how it went. It does not block.
func (r *Request) Test() (Status, bool, error) { return r.test(0) }

func (r *Request) test(spin time.Duration) (Status, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || r.lost {
		return r.status, true, r.err
	}
	if err := enter(); err != nil {
		return Status{}, false, err
	}
	if runtimeState.serial.Load() {
		spin = 0
	}
	h, over, st, cancelled, code := rawWait(r.handle, spin)
	leave()
	r.handle = h
	if !over {
		return Status{}, false, nil
	}
	r.err = failure(r.op, code)
	switch {
	case r.err != nil:
	case cancelled:
		r.err = ErrCancelled
	case r.recv:
		r.status = st
	default:
		r.status = Status{Source: -1, Tag: -1, Len: r.bytes}
	}
	r.done = true
	r.pin.Unpin()
	underWay.Lock()
	delete(underWay.set, r)
	underWay.Unlock()
	return r.status, true, r.err
}

// Cancel asks for the end of a receive that nothing has matched. It does not block; the request ends as usual, with
// ErrCancelled or with the message. Sends cannot be cancelled.
func (r *Request) Cancel() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || r.lost || !r.recv {
		return nil
	}
	if err := enter(); err != nil {
		return err
	}
	defer leave()
	return failure("MPI_Cancel", rawCancel(r.handle))
}

// Abandon gives up a request whose peer is lost: it counts as done, with ErrLost, and its memory stays pinned, because
// the library may still write it. Call MarkLost too.
func (r *Request) Abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.done && !r.lost {
		r.lost, r.err = true, ErrLost
	}
}

// Wait blocks until the operation is over, or until ctx ends. A result beats an expired context. When ctx ends, a receive
// is cancelled and its memory is free again; a send goes on, and its memory stays with it.
func (r *Request) Wait(ctx context.Context) (Status, error) {
	p := newPatience(ctx)
	defer p.stop()
	for {
		st, over, err := r.test(p.spin())
		if over || err != nil {
			return st, err
		}
		if p.pause() {
			continue
		}
		if !r.recv {
			return Status{}, context.Cause(ctx)
		}
		if err := r.Cancel(); err != nil {
			return Status{}, err
		}
		return r.settle(context.Cause(ctx))
	}
}

// settle waits for a cancelled receive, which MPI promises to end without the other side.
func (r *Request) settle(cause error) (Status, error) {
	limit := time.Now().Add(time.Second)
	for {
		st, over, err := r.test(10 * time.Microsecond)
		switch {
		case over && err == ErrCancelled:
			return Status{}, cause
		case over || err != nil:
			return st, err
		case time.Now().After(limit):
			return Status{}, cause
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// patience is how long to spin, and then to sleep, while waiting for MPI, which cannot wake a goroutine.
type patience struct {
	ctx   context.Context
	turns int
	nap   time.Duration
	timer *time.Timer
}

const (
	spinTurns   = 10
	spinFor     = 20 * time.Microsecond
	shortestNap = 20 * time.Microsecond
	longestNap  = time.Millisecond
)

func newPatience(ctx context.Context) *patience { return &patience{ctx: ctx} }

// spin is how long the next look at MPI may take.
func (p *patience) spin() time.Duration {
	if p.turns < spinTurns {
		return spinFor
	}
	return 0
}

// pause waits before the next look. It returns false when the context has ended.
func (p *patience) pause() bool {
	if p.ctx.Err() != nil {
		return false
	}
	if p.turns++; p.turns < spinTurns {
		runtime.Gosched()
		return true
	}
	p.nap = min(max(2*p.nap, shortestNap), longestNap)
	if p.timer == nil {
		p.timer = time.NewTimer(p.nap)
	} else {
		p.timer.Reset(p.nap)
	}
	select {
	case <-p.timer.C:
	case <-p.ctx.Done():
	}
	// One more look follows even then: a result beats an expired context.
	return true
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
