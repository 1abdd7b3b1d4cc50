package mpi

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/rankpool/rankpool/internal/fresh"
)

// hold pins the memory of buf and returns its address, or 0 for an empty one. The address goes to C as a number, so that
// a buffer that lies inside a larger object with pointers is no offence.
func hold(pin *runtime.Pinner, buf []byte) uintptr {
	if len(buf) == 0 {
		return 0
	}
	p := unsafe.SliceData(buf)
	pin.Pin(p)
	return uintptr(unsafe.Pointer(p))
}

// Isend starts a send of buf, of any length, and returns at once. buf must not be written until the request is done.
func (c *Comm) Isend(buf []byte, dest, tag int) (*Request, error) {
	const op = "MPI_Isend"
	if err := c.begin(op); err != nil {
		return nil, err
	}
	defer leave()
	return begun(op, false, buf, func(a uintptr) (uintptr, int) { return rawIsend(a, len(buf), dest, tag, c.handle) })
}

// Irecv starts a receive into buf and returns at once. buf must not be touched until the request is done; a longer
// message ends it with ClassTruncate.
func (c *Comm) Irecv(buf []byte, source, tag int) (*Request, error) {
	const op = "MPI_Irecv"
	if err := c.begin(op); err != nil {
		return nil, err
	}
	defer leave()
	return begun(op, true, buf, func(a uintptr) (uintptr, int) { return rawIrecv(a, len(buf), source, tag, c.handle) })
}

// Send sends buf and blocks until its memory is free again, or until ctx ends (then the send goes on, see Request.Wait).
func (c *Comm) Send(ctx context.Context, buf []byte, dest, tag int) error {
	r, err := c.Isend(buf, dest, tag)
	if err != nil {
		return err
	}
	_, err = r.Wait(ctx)
	return err
}

// Recv receives into buf and blocks until a message has come, or until ctx ends.
func (c *Comm) Recv(ctx context.Context, buf []byte, source, tag int) (Status, error) {
	r, err := c.Irecv(buf, source, tag)
	if err != nil {
		return Status{}, err
	}
	return r.Wait(ctx)
}

// RecvAny receives the next message, of whatever length, into fresh memory. It blocks until one has come, or until ctx
// ends. Calls may run together: each gets a whole message.
func (c *Comm) RecvAny(ctx context.Context, source, tag int) ([]byte, Status, error) {
	m, err := c.Mprobe(ctx, source, tag)
	if err != nil {
		return nil, Status{}, err
	}
	buf := fresh.Bytes(m.Len)
	st, err := m.Recv(context.WithoutCancel(ctx), buf)
	return buf, st, err
}
