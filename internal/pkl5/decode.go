package pkl5

import (
	"fmt"
	"math"
	"unsafe"
)

// Decoder reads values from a stream and its segments in the order in which they were encoded. The zero value is
// empty. One goroutine at a time may use it.
type Decoder struct {
	// Level is how many errors the values are inside of: see CarryErrors.
	Level int

	in      []byte
	pos     int
	segs    [][]byte
	seg     int
	segLeft int // bytes in segs[seg:]
	owed    int // bytes of input that what was allocated already will still need
	refs    []ref
	types   []*concrete
	depth   int
}

// Reset makes d read stream and segments from their beginning.
//
// Decoded values never alias the stream, which may be reused after the last Decode. They do alias segments, which
// belong to them from then on.
func (d *Decoder) Reset(stream []byte, segments [][]byte) {
	d.in, d.pos, d.segs, d.seg, d.segLeft = stream, 0, segments, 0, 0
	for _, s := range segments {
		d.segLeft += len(s)
	}
}

// Continue makes d read another stream, which goes on with the same segments.
func (d *Decoder) Continue(stream []byte) { d.in, d.pos = stream, 0 }

// Len returns how many bytes of the stream are left.
func (d *Decoder) Len() int { return len(d.in) - d.pos }

// SegmentsLeft returns how many segments no value has taken yet.
func (d *Decoder) SegmentsLeft() int { return len(d.segs) - d.seg }

// Rest returns what is left of the stream. It aliases the stream.
func (d *Decoder) Rest() []byte { return d.in[d.pos:] }

// Decode reads the next value, of type c.Type(), into the zero value at p.
//
// It does not block. The error is a *ValueError: about ErrCorrupt, about ErrUnregistered, or what an
// unmarshaller returned or panicked with. Then d is where it was and the memory at p holds a part of the value. What
// a hostile stream makes Decode allocate is bounded by a small multiple of the stream and its segments.
func (c *Codec) Decode(d *Decoder, p unsafe.Pointer) error {
	pl := c.plan
	pos, seg, segLeft := d.pos, d.seg, d.segLeft
	d.depth, d.owed = 0, 0
	var err error
	if pl.plain {
		err = pl.dec(d, p)
	} else {
		err = d.value(pl, p)
		d.forget()
	}
	if err != nil {
		path, cause := pathOf(err)
		d.pos, d.seg, d.segLeft = pos, seg, segLeft
		return &ValueError{Path: typeName(pl.typ) + path, Err: cause}
	}
	return nil
}

func (d *Decoder) value(pl *plan, p unsafe.Pointer) error {
	if !pl.linked {
		return pl.dec(d, p)
	}
	d.refs = append(d.refs, ref{p: p, plan: pl})
	if err := pl.dec(d, p); err != nil {
		return err
	}
	for i := 1; i < len(d.refs); i++ {
		r := &d.refs[i]
		if !r.queued {
			continue
		}
		d.depth = 0
		d.owed -= r.plan.min
		if err := r.plan.dec(d, r.p); err != nil {
			return at(err, "…"+typeName(r.plan.typ))
		}
	}
	return nil
}

func (d *Decoder) forget() {
	if cap(d.refs) > keepRefs {
		d.refs = nil
	}
	clear(d.refs)
	d.refs = d.refs[:0]
	clear(d.types)
	d.types = d.types[:0]
}

func (d *Decoder) enter() error {
	if d.depth++; d.depth > maxDepth {
		return d.corrupt("nested deeper than %d levels", maxDepth)
	}
	return nil
}

// corrupt returns an error about ErrCorrupt that says where the reader stands.
func (d *Decoder) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s (byte %d of %d, segment %d of %d)", ErrCorrupt, fmt.Sprintf(format, args...),
		d.pos, len(d.in), d.seg, len(d.segs))
}

// cut is the error about a stream that ends too early.
func (d *Decoder) cut(n int) error {
	return d.corrupt("%d more bytes needed, %d left", n, d.Len())
}

// take returns the next n bytes of the stream, not copied.
func (d *Decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.in)-d.pos) {
		return nil, d.cut(int(min(n, math.MaxInt)))
	}
	b := d.in[d.pos : d.pos+int(n) : d.pos+int(n)]
	d.pos += int(n)
	return b, nil
}

// claim makes sure, before memory for n values is allocated, that the input can still hold them: each takes at
// least least bytes of it, and bytes already spoken for do not count twice. The caller settles the claim by
// subtracting least from owed as it begins each value.
func (d *Decoder) claim(n uint64, least int) error {
	if least == 0 {
		return nil
	}
	left := d.Len() + d.segLeft - d.owed
	if left < 0 || n > uint64(left)/uint64(least) {
		return d.corrupt("%d values of at least %d bytes announced, %d bytes left", n, least, max(left, 0))
	}
	d.owed += int(n) * least
	return nil
}

// segment returns the next segment, which must have exactly size bytes.
func (d *Decoder) segment(size uint64) ([]byte, error) {
	if d.seg == len(d.segs) {
		return nil, d.corrupt("a segment of %d bytes is missing", size)
	}
	s := d.segs[d.seg]
	if uint64(len(s)) != size {
		return nil, d.corrupt("a segment of %d bytes needed, the next has %d", size, len(s))
	}
	d.seg++
	d.segLeft -= len(s)
	return s, nil
}

// block reads the bytes that follow a head written by Encoder.block; out says that they are a segment. unit is the
// size of what is counted.
func (d *Decoder) block(head uint64, unit uintptr) (b []byte, out bool, err error) {
	n := head >> 1
	if unit > 1 && n > math.MaxInt/uint64(unit) {
		return nil, false, d.corrupt("%d elements of %d bytes announced", n, unit)
	}
	n *= uint64(unit)
	if head&1 != 0 {
		b, err = d.segment(n)
		return b, true, err
	}
	b, err = d.take(n)
	return b, false, err
}
