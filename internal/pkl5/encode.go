package pkl5

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// DefaultThreshold is the size in bytes from which memory travels out of band.
const DefaultThreshold = 256 << 10

// maxDepth is how deep slices, maps and interfaces may nest in each other. Chains of pointers have no limit.
const maxDepth = 10_000

// Encoder collects encoded values: a stream and, beside it, the segments that travel as they are. The zero value is
// ready. One goroutine at a time may use it.
//
// The caller may take Stream and Segments whenever no Encode is running, and may append to Stream between values.
type Encoder struct {
	// Stream is what was encoded in band.
	Stream []byte

	// Segments are the large pieces in the order in which the stream needs them. Unless Snapshot was set they alias the
	// memory of the values, which must not be written until the segments have been sent.
	Segments [][]byte

	// Threshold is the size in bytes from which a slice, string or array goes out of band. Zero means
	// DefaultThreshold; a negative one keeps everything in band.
	Threshold int

	// Snapshot copies what would otherwise alias.
	Snapshot bool

	// Level is how many errors the values are inside of: see CarryErrors.
	Level int

	// Canonical has equal values have equal encodings: maps in the order of their keys, and zeros where memory holds nothing. Values that are decoded are the same.
	Canonical bool

	nested  int // how many maps this encodes a key of: see encodeSorted
	refs    refTable
	types   []*concrete
	scratch []byte
	depth   int
	at      uint32 // the reference whose pointee is being encoded
	seek    *ref   // set by path only: where to stop
}

// Reset empties e and keeps its options and the capacity of Stream.
func (e *Encoder) Reset() {
	e.Stream = e.Stream[:0]
	clear(e.Segments) // do not keep the callers' memory alive
	e.Segments = e.Segments[:0]
}

// limit returns the effective threshold.
func (e *Encoder) limit() int {
	switch {
	case e.Threshold > 0:
		return e.Threshold
	case e.Threshold < 0:
		return math.MaxInt
	}
	return DefaultThreshold
}

// Encode appends the value of type c.Type() at p to e.
//
// It does not block. The error is a *ValueError with the path of what could not be encoded: a marshaller that
// failed or panicked, a type inside an interface that is not registered, nesting beyond 10,000 levels. Stream and
// Segments are then as they were before. The value must not change during the call.
func (c *Codec) Encode(e *Encoder, p unsafe.Pointer) error {
	pl := c.plan
	if pl.plain {
		return pl.enc(e, p)
	}
	ns, nseg := len(e.Stream), len(e.Segments)
	err := e.value(pl, p)
	if err != nil {
		err = e.explain(pl, p, err)
		e.Stream = e.Stream[:ns]
		clear(e.Segments[nseg:])
		e.Segments = e.Segments[:nseg]
	}
	e.forget()
	return err
}

// value encodes the value and then, in the order in which they were met, everything its pointers lead to. That
// way a list of any length needs no stack.
func (e *Encoder) value(pl *plan, p unsafe.Pointer) error {
	if !pl.linked {
		return pl.enc(e, p)
	}
	e.at = 0
	e.refs.add(p, pl, 0, false)
	if err := pl.enc(e, p); err != nil {
		return err
	}
	for i := 1; i < len(e.refs.list); i++ {
		r := &e.refs.list[i]
		if !r.queued {
			continue
		}
		e.at, e.depth = uint32(i), 0
		if err := r.plan.enc(e, r.p); err != nil {
			return err
		}
	}
	return nil
}

// Abandon forgets a value whose Encode did not return, because code of its type ended the goroutine or panicked. What was
// encoded of it remains.
func (e *Encoder) Abandon() { e.forget() }

// forget ends a value: the next one knows nothing of its pointers and types.
func (e *Encoder) forget() {
	e.refs.reset()
	clear(e.types)
	e.types = e.types[:0]
	e.depth = 0
	if cap(e.scratch) > 1<<16 {
		e.scratch = nil
	}
}

func (e *Encoder) enter() error {
	if e.depth++; e.depth > maxDepth {
		return fmt.Errorf("slices, maps and interfaces nest deeper than %d levels (or contain themselves): use pointers for the links", maxDepth)
	}
	return nil
}

var (
	errSought      = errors.New("sought")
	errTooManyRefs = errors.New("more than 4 billion pointers in one value: send it in parts")
)

// explain turns what enc returned into the error for the caller.
func (e *Encoder) explain(pl *plan, p unsafe.Pointer, err error) error {
	path, cause := pathOf(err)
	// A pointee is encoded long after the pointer to it was met, so its own path starts nowhere. Walk its
	// holder again, to see where the pointer is.
	const hops = 32
	for i := 0; e.at != 0; i++ {
		lost := e.refs.list[e.at]
		holder := e.refs.list[lost.from]
		s := Encoder{Threshold: 1, seek: &lost} // a threshold of one, so that nothing is copied
		s.refs.add(holder.p, holder.plan, 0, false)
		step, found := pathOf(holder.plan.enc(&s, holder.p))
		if i == hops || found != errSought { //nolint:errorlint // never wrapped
			return &ValueError{Path: typeName(pl.typ) + "…" + typeName(lost.plan.typ) + path, Err: cause}
		}
		path = step + path
		e.at = lost.from
	}
	return &ValueError{Path: typeName(pl.typ) + path, Err: cause}
}

// outOfBand adds b to the segments if it is large enough. Shared says that b is memory of the caller that may change.
func (e *Encoder) outOfBand(b []byte, shared bool) bool {
	if len(b) < e.limit() {
		return false
	}
	if shared && e.Snapshot {
		b = append([]byte(nil), b...)
	}
	e.Segments = append(e.Segments, b[:len(b):len(b)])
	return true
}

// block appends count<<1|out plus base, and then the bytes unless they went out of band.
func (e *Encoder) block(b []byte, count, base uint64, shared bool) {
	if len(b) > 0 && e.outOfBand(b, shared) {
		e.Stream = appendUint(e.Stream, base+(count<<1|1))
		return
	}
	e.Stream = append(appendUint(e.Stream, base+count<<1), b...)
}
