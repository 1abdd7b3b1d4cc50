package mpi

import (
	"context"
	"sync/atomic"
)

// Message is a message that a matched probe has taken out of the queue: it can be received only through this value, and
// must be, exactly once.
type Message struct {
	Status
	handle uintptr
	taken  atomic.Bool
}

// Iprobe tells whether a message that a receive would match is there. It does not block.
func (c *Comm) Iprobe(source, tag int) (Status, bool, error) {
	const op = "MPI_Iprobe"
	if err := c.begin(op); err != nil {
		return Status{}, false, err
	}
	defer leave()
	st, found, code := rawIprobe(c.handle, source, tag)
	return st, found, failure(op, code)
}

// Probe blocks until a message that a receive would match is there, or until ctx ends.
func (c *Comm) Probe(ctx context.Context, source, tag int) (Status, error) {
	return await(ctx, func() (Status, bool, error) { return c.Iprobe(source, tag) })
}

// Improbe takes the next matching message out of the queue, or returns nil when there is none. It does not block.
func (c *Comm) Improbe(source, tag int) (*Message, error) {
	const op = "MPI_Improbe"
	if err := c.begin(op); err != nil {
		return nil, err
	}
	defer leave()
	m, st, found, code := rawImprobe(c.handle, source, tag)
	if code != 0 || !found {
		return nil, failure(op, code)
	}
	return &Message{Status: st, handle: m}, nil
}

// Mprobe blocks until it has taken a matching message out of the queue, or until ctx ends.
func (c *Comm) Mprobe(ctx context.Context, source, tag int) (*Message, error) {
	return await(ctx, func() (*Message, bool, error) {
		m, err := c.Improbe(source, tag)
		return m, m != nil, err
	})
}

// await looks until there is something, with less and less haste.
func await[T any](ctx context.Context, look func() (T, bool, error)) (T, error) {
	p := newPatience(ctx)
	defer p.stop()
	for {
		v, found, err := look()
		if found || err != nil {
			return v, err
		}
		if !p.pause() {
			return v, context.Cause(ctx)
		}
	}
}

// Irecv starts the receive of the message into buf and returns at once. A message can be received once.
func (m *Message) Irecv(buf []byte) (*Request, error) {
	const op = "MPI_Imrecv"
	if err := enter(); err != nil {
		return nil, err
	}
	defer leave()
	if m.taken.Swap(true) {
		return nil, invalid(op, ClassRequest, "the message was received already")
	}
	return begun(op, true, buf, func(a uintptr) (uintptr, int) { return rawImrecv(a, len(buf), m.handle) })
}

// Recv receives the message into buf and blocks until it is there, or until ctx ends.
func (m *Message) Recv(ctx context.Context, buf []byte) (Status, error) {
	r, err := m.Irecv(buf)
	if err != nil {
		return Status{}, err
	}
	return r.Wait(ctx)
}
