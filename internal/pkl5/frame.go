package pkl5

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// AppendHeader appends the header of a message: the length of its stream and of each of its segments, 64 bits each,
// lowest byte first (I07). How many segments there are follows from the length of the header.
func AppendHeader(dst []byte, stream int, segments [][]byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(stream))
	for _, s := range segments {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(s)))
	}
	return dst
}

// ParseHeader reads what AppendHeader wrote; b is the header and nothing else. segments is nil if there are none.
//
// It allocates no more than the length of b. The error, about ErrCorrupt, says what is wrong with the header: its
// length is no multiple of eight or zero, or the lengths in it add up to more than an int64 holds (I11, I30).
func ParseHeader(b []byte) (stream uint64, segments []uint64, err error) {
	if len(b) == 0 || len(b)%8 != 0 {
		return 0, nil, fmt.Errorf("pkl5: header of %d bytes: %w: not a positive multiple of 8", len(b), ErrCorrupt)
	}
	stream = binary.LittleEndian.Uint64(b)
	if n := len(b)/8 - 1; n > 0 {
		segments = make([]uint64, n)
	}
	left := uint64(math.MaxInt64)
	if stream > left {
		return 0, nil, fmt.Errorf("pkl5: header: %w: stream of %d bytes", ErrCorrupt, stream)
	}
	left -= stream
	for i := range segments {
		n := binary.LittleEndian.Uint64(b[8*(i+1):])
		if n > left {
			return 0, nil, fmt.Errorf("pkl5: header: %w: segment %d of %d bytes", ErrCorrupt, i, n)
		}
		left -= n
		segments[i] = n
	}
	return stream, segments, nil
}

const (
	// ahead is how much is allocated before any of it has arrived from a peer that is not trusted.
	ahead = 64 << 20

	// together is the size up to which header and stream leave in one write.
	together = 64 << 10
)

// WriteFrame writes one message to w: the length of the header in bytes (64 bits, lowest byte first), the header,
// the stream, the segments. It blocks as w does, and returns the first error of w, after which w is unusable.
//
// Segments are handed to w as they are, not copied.
func WriteFrame(w io.Writer, stream []byte, segments [][]byte) error {
	head := make([]byte, 0, 16+8*len(segments)+min(len(stream), together))
	head = binary.LittleEndian.AppendUint64(head, uint64(8+8*len(segments)))
	head = AppendHeader(head, len(stream), segments)
	if len(stream) <= together {
		head, stream = append(head, stream...), nil
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("pkl5: writing a frame's header: %w", err)
	}
	if len(stream) > 0 {
		if _, err := w.Write(stream); err != nil {
			return fmt.Errorf("pkl5: writing a frame's stream: %w", err)
		}
	}
	for i, s := range segments {
		if len(s) == 0 {
			continue
		}
		if _, err := w.Write(s); err != nil {
			return fmt.Errorf("pkl5: writing segment %d of %d: %w", i, len(segments), err)
		}
	}
	return nil
}

// ReadFrame reads one message that WriteFrame wrote. The stream is appended to buf[:0]; segments are fresh memory,
// aligned for any element, that the caller owns.
//
// It blocks until the message is there. The error is io.EOF, as it is, if r ends before the message begins. If r ends
// within it, io.ErrUnexpectedEOF is in the chain, as is ErrCorrupt; ErrCorrupt alone says that the lengths are absurd.
// Unless the peer is trusted, memory is allocated as the bytes arrive and never more than 64 MiB, or as much again as
// has arrived of the same piece, ahead of them.
func ReadFrame(r io.Reader, buf []byte, trusted bool) (stream []byte, segments [][]byte, err error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		if err == io.EOF { //nolint:errorlint // ReadFull returns it bare
			return nil, nil, io.EOF
		}
		return nil, nil, ended("the length of a frame's header", err)
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n == 0 || n%8 != 0 || n > maxBytes {
		return nil, nil, fmt.Errorf("pkl5: frame: %w: header of %d bytes", ErrCorrupt, n)
	}
	head, err := readPiece(r, nil, n, trusted)
	if err != nil {
		return nil, nil, ended("a frame's header", err)
	}
	size, sizes, err := ParseHeader(head)
	if err != nil {
		return nil, nil, err
	}
	if stream, err = readPiece(r, buf[:0], size, trusted); err != nil {
		return nil, nil, ended("a frame's stream", err)
	}
	if len(sizes) > 0 {
		segments = make([][]byte, len(sizes))
	}
	for i, n := range sizes {
		if segments[i], err = readPiece(r, nil, n, trusted); err != nil {
			return nil, nil, ended(fmt.Sprintf("segment %d of %d", i, len(sizes)), err)
		}
	}
	return stream, segments, nil
}

// readPiece appends n bytes of r to b, which is empty.
func readPiece(r io.Reader, b []byte, n uint64, trusted bool) ([]byte, error) {
	if n > maxBytes || n > math.MaxInt {
		return nil, fmt.Errorf("%w: a piece of %d bytes", ErrCorrupt, n)
	}
	if trusted || n <= ahead {
		return fill(r, b, int(n))
	}
	for want := ahead; ; want = min(2*want, int(n)) {
		var err error
		if b, err = fill(r, b, want); err != nil || want == int(n) {
			return b, err
		}
	}
}

// fill reads until b has n bytes.
func fill(r io.Reader, b []byte, n int) ([]byte, error) {
	have := len(b)
	if cap(b) < n {
		b = append(make([]byte, 0, n), b...)
	}
	b = b[:n]
	_, err := io.ReadFull(r, b[have:])
	return b, err
}

// ended is the error about a reader that stopped within a frame.
func ended(what string, err error) error {
	if err == io.EOF { //nolint:errorlint // ReadFull returns it bare
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull returns it bare
		return fmt.Errorf("pkl5: reading %s: %w: %w", what, ErrCorrupt, err)
	}
	return fmt.Errorf("pkl5: reading %s: %w", what, err)
}
