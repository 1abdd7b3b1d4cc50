package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/link"
)

// A frame on the socket is a header, one length of 8 bytes per segment, the stream and the segments. The header is 24
// bytes: the kind (4), the number of segments (4), the length of the stream (8), the frame's mark (8), little-endian. In the table of a
// shown frame an address of 8 bytes follows each length, and the segments do not travel.
const (
	headerSize = 24

	kindFrame   uint32 = 0x314b4e52
	kindGoodbye uint32 = 0x324b4e52 // the worker ends on purpose; nothing follows
	kindWake    uint32 = 0x334b4e52 // look into the ring
	kindShown   uint32 = 0x344b4e52 // a frame whose table has addresses too, and whose segments do not follow
	kindReady   uint32 = 0x354b4e52 // the worker has attached; find out whether its memory can be read
	kindFailed  uint32 = 0x364b4e52 // the worker could not receive what was sent

	// mostSegments bounds the table of lengths, to 128 MiB.
	mostSegments = 1 << 24
)

// errWire is the error of bytes that are no frame.
var errWire = errors.New("proc: the socket carries something that is not a frame; does the program write to descriptors it did not open?")

// errFailed is the error of a worker that could not receive.
var errFailed = errors.New("proc: it could not read what it was sent; was a slice unmapped while a task had it, or a limit set on reading this process's memory (then RANKPOOL_PROC_SOCKET=1 helps)? Its standard error may say more")

// appendHeader appends header and table.
func appendHeader(b []byte, f link.Frame, kind uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Segments)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.Stream)))
	b = binary.LittleEndian.AppendUint64(b, f.Mark)
	if kind == kindShown {
		return appendPlaces(b, f.Segments)
	}
	for _, s := range f.Segments {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	}
	return b
}

// sign is a whole message that is no frame.
func sign(kind uint32) []byte {
	b := make([]byte, headerSize)
	binary.LittleEndian.PutUint32(b, kind)
	return b
}

// reader takes frames from a socket. Small ones come out of its buffer, many per system call; segments are read straight
// into their memory. That is taken as they come: a header alone, whatever it announces, costs addresses and no memory.
type reader struct {
	src   io.Reader
	limit uint64 // the most bytes a frame may have
	buf   []byte
	rest  []byte // what has been read and not used, a part of buf

	source  *source       // what is shown is fetched from; nil where nothing is ever shown
	journal *link.Journal // where a worker marks that it receives; nil in a master
}

func newReader(src io.Reader, limit uint64) *reader {
	return &reader{src: src, limit: limit, buf: make([]byte, 32<<10)}
}

// frame returns the next frame, or the kind of a sign. It returns io.EOF at the end between two frames, and an error with
// io.ErrUnexpectedEOF at the end within one.
func (r *reader) frame() (f link.Frame, kind uint32, err error) {
	h, err := r.peek(headerSize)
	if err != nil {
		return link.Frame{}, 0, err
	}
	kind = binary.LittleEndian.Uint32(h)
	segments := binary.LittleEndian.Uint32(h[4:])
	stream := binary.LittleEndian.Uint64(h[8:])
	mark := binary.LittleEndian.Uint64(h[16:])
	r.rest = r.rest[headerSize:]
	switch {
	case (kind == kindGoodbye || kind == kindWake || kind == kindReady || kind == kindFailed) && segments == 0 && stream == 0:
		return link.Frame{}, kind, nil
	case kind != kindFrame && kind != kindShown || segments > mostSegments:
		return link.Frame{}, 0, errWire
	case stream > r.limit:
		return link.Frame{}, 0, fmt.Errorf("%w: a stream of %d bytes exceeds the memory that this process may have", errWire, stream)
	}
	r.journal.Receiving(mark) // until it is whole: after an error it stays marked
	var lengths []uint64
	var places []byte
	switch {
	case kind == kindShown:
		places, err = r.places(int(segments))
	case segments > 0:
		lengths, err = r.table(int(segments), stream)
	}
	if err != nil {
		return link.Frame{}, 0, cut(err)
	}
	f.Stream = link.GetBuffer()
	if uint64(cap(f.Stream)) < stream {
		link.PutBuffer(f.Stream)
		f.Stream = fresh.Lazy(int(stream))
	}
	f.Stream = f.Stream[:stream]
	if err := fresh.Fill(f.Stream, r.read); err != nil {
		return link.Frame{}, 0, cut(err)
	}
	if kind == kindShown {
		if f.Segments, err = r.source.fetch(places, stream); err != nil {
			return link.Frame{}, 0, err
		}
		r.journal.Receiving(0)
		return f, kindFrame, nil
	}
	if segments > 0 {
		f.Segments = make([][]byte, segments)
		for i, n := range lengths {
			f.Segments[i] = fresh.Lazy(int(n))
			if err := fresh.Fill(f.Segments[i], r.read); err != nil {
				return link.Frame{}, 0, cut(err)
			}
		}
	}
	r.journal.Receiving(0)
	return f, kind, nil
}

// table reads the lengths of the segments. It allocates as they arrive, and refuses a sum beyond the limit.
func (r *reader) table(n int, sum uint64) ([]uint64, error) {
	var lengths []uint64
	for range n {
		b, err := r.peek(8)
		if err != nil {
			return nil, err
		}
		length := binary.LittleEndian.Uint64(b)
		r.rest = r.rest[8:]
		if length > r.limit || sum > r.limit-length {
			return nil, fmt.Errorf("%w: segments of more than %d bytes exceed the memory that this process may have", errWire, r.limit)
		}
		sum += length
		lengths = append(slices.Grow(lengths, min(n-len(lengths), 512)), length)
	}
	return lengths, nil
}

// places reads the table of a shown frame. It allocates as it arrives.
func (r *reader) places(n int) ([]byte, error) {
	var table []byte
	for n *= placeSize; len(table) < n; {
		more := min(n-len(table), 64<<10)
		table = slices.Grow(table, more)[:len(table)+more]
		if err := r.read(table[len(table)-more:]); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// peek returns the next n bytes, which stay unread; n is small.
func (r *reader) peek(n int) ([]byte, error) {
	if len(r.rest) < n && len(r.rest) > 0 && cap(r.rest) < n {
		r.rest = r.buf[:copy(r.buf, r.rest)]
	}
	for len(r.rest) < n {
		if len(r.rest) == 0 {
			r.rest = r.buf[:0]
		}
		m, err := r.src.Read(r.rest[len(r.rest):cap(r.rest)])
		r.rest = r.rest[:len(r.rest)+m]
		if m == 0 && err != nil {
			if err == io.EOF && len(r.rest) > 0 {
				err = cut(err)
			}
			return nil, err
		}
	}
	return r.rest[:n], nil
}

// read fills b: from the buffer first, then straight from the socket, through the buffer again when little is missing.
func (r *reader) read(b []byte) error {
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	b = b[n:]
	for len(b) >= len(r.buf) {
		n, err := r.src.Read(b)
		if b = b[n:]; n == 0 && err != nil {
			return err
		}
	}
	for len(b) > 0 {
		n, err := r.src.Read(r.buf)
		r.rest = r.buf[:n]
		if n == 0 && err != nil {
			return err
		}
		m := copy(b, r.rest)
		r.rest, b = r.rest[m:], b[m:]
	}
	return nil
}

// cut names an end that comes too early.
func cut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("proc: a frame was cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}
