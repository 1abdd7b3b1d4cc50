package resultlog

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zeebo/xxh3"
)

// Reader reads recorded results, one at a time, with a buffer of its own: results that were recorded one after another are read together.
type Reader struct {
	l *Log
	s scanner
}

// Reader returns a new reader.
func (l *Log) Reader() *Reader { return &Reader{l: l, s: scanner{r: l.file, seed: l.seed}} }

// Outcome is what was recorded of a call.
type Outcome struct {
	Stream   []byte   // of a result that is not large; valid until the next call of the reader
	Segments [][]byte // likewise

	Failed bool
	Text   string    // of a failure
	When   time.Time // of a failure

	Large *Large // of a result that is large; nil: it is not
}

// Large is a large result, which is read when it is wanted.
type Large struct {
	l   *Log
	off int64
	r   record
}

// Size is how many bytes it has.
func (g *Large) Size() int64 { return g.r.size }

// Read reads the result. The memory is the caller's.
func (g *Large) Read() (stream []byte, segments [][]byte, err error) {
	b := make([]byte, g.r.size)
	if n, err := g.l.file.ReadAt(b, g.off); n < len(b) {
		return nil, nil, fmt.Errorf("journal %s cannot be read: %w", g.l.path, err)
	}
	if !g.r.sound(b, g.l.seed) {
		return nil, nil, fmt.Errorf("journal %s: a result is damaged that was whole a moment ago", g.l.path)
	}
	return splitAligned(b)
}

// splitAligned is split with each segment in memory of its own: what decodes them keeps them, and they must be aligned for any element.
func splitAligned(b []byte) (stream []byte, segments [][]byte, err error) {
	stream, segments, err = split(b)
	for i, s := range segments {
		segments[i] = append(make([]byte, 0, len(s)), s...)
	}
	return stream, segments, err
}

// Read returns what an entry says. It is false if there is nothing: none is recorded, or it is damaged, and then it is told.
func (r *Reader) Read(e Entry) (o Outcome, ok bool) {
	if e.off == 0 {
		return o, false
	}
	o, ok, err := r.read(e)
	if err != nil {
		r.l.warn(fmt.Sprintf("journal %s: a result at byte %d cannot be read, and runs again: %v", r.l.path, e.off, err))
		return o, false
	}
	return o, ok
}

var errDamaged = errors.New("it is damaged")

func (r *Reader) read(e Entry) (o Outcome, ok bool, err error) {
	if end := e.off + largeHead; end > r.s.size { // it has grown
		st, err := r.l.file.Stat()
		if err != nil {
			return o, false, err
		}
		r.s.size = st.Size()
	}
	head, ok, err := r.s.headAt(e.off)
	switch {
	case err != nil:
		return o, false, err
	case !ok:
		return o, false, errDamaged
	case head.key != e.key:
		return o, false, nil // two keys that the index takes for one
	}
	if head.large {
		off := e.off + int64(head.head())
		sum, err := sumAt(r.s.r, off, head.size, r.s.seed)
		if err == nil && sum != head.check {
			err = errDamaged
		}
		if err != nil {
			return o, false, err
		}
		return Outcome{Large: &Large{r.l, off, head}}, true, nil
	}
	body, sound, err := r.s.bodyAt(e.off, head)
	if err == nil && !sound {
		err = errDamaged
	}
	if err != nil {
		return o, false, err
	}
	if head.kind == kindFailure {
		at, text, whole := failureText(body)
		if !whole {
			return o, false, errDamaged
		}
		return Outcome{Failed: true, Text: text, When: at}, true, nil
	}
	o.Stream, o.Segments, err = split(body)
	if len(o.Segments) > 0 {
		o.Stream, o.Segments, err = splitAligned(append([]byte(nil), body...))
	}
	return o, err == nil, err
}

// sumAt returns the checksum of a large body, which is read through a small buffer.
func sumAt(r io.ReaderAt, off, size int64, seed uint64) (uint64, error) {
	h := xxh3.NewSeed(seed)
	b := make([]byte, min(size, window))
	for size > 0 {
		part := b[:min(size, int64(len(b)))]
		n, err := r.ReadAt(part, off)
		if n < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		_, _ = h.Write(part)
		off, size = off+int64(n), size-int64(n)
	}
	return h.Sum64(), nil
}
