package pkl5

import (
	"encoding/binary"
	"slices"
)

// Bound puts the size of what was encoded since the stream was begin long, and there were so many segments, in front of that. Split
// takes it apart from what follows without looking into it: a value whose type reads itself may fail anywhere.
func (e *Encoder) Bound(begin, segments int) {
	var head [2 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], uint64(len(e.Stream)-begin))
	b = binary.AppendUvarint(b, uint64(len(e.Segments)-segments))
	e.Stream = slices.Insert(e.Stream, begin, b...)
}

// Split has to read what stands next in d behind a size that Bound has put there, and d go on after that.
func (d *Decoder) Split(to *Decoder) error {
	size, n := binary.Uvarint(d.in[d.pos:])
	if n <= 0 {
		return d.corrupt("a size is missing")
	}
	segs, m := binary.Uvarint(d.in[d.pos+n:])
	if m <= 0 || segs > uint64(len(d.segs)-d.seg) {
		return d.corrupt("a number of segments is missing, or too large")
	}
	if size > uint64(len(d.in)-d.pos-n-m) {
		return d.corrupt("%d bytes announced, %d left", size, len(d.in)-d.pos-n-m)
	}
	d.pos += n + m
	b, err := d.take(size)
	if err != nil {
		return err
	}
	mine := d.segs[d.seg : d.seg+int(segs)]
	d.seg += int(segs)
	for _, s := range mine {
		d.segLeft -= len(s)
	}
	to.Reset(b, mine)
	return nil
}
