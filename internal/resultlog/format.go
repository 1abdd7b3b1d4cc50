package resultlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

const (
	magic    = "rankpool results 1\n"
	headCopy = 64
	headSize = 2 * headCopy

	recordHead = 32
	largeHead  = recordHead + 16
	largeBody  = 64 << 10 // from here on a body is passed over when the file is opened
	mostNumber = 1<<24 - 1
)

// kind is what a record is.
type kind uint8

const (
	kindResult   kind = 1
	kindFailure  kind = 2
	kindFunction kind = 3
	kindForget   kind = 4
	kindTime     kind = 5

	largeFlag = 128
)

// Key is what a result is found by.
type Key = xxh3.Uint128

// record is the head of a record, and where it stands.
type record struct {
	kind  kind
	fn    uint32
	key   Key
	size  int64  // of the body
	check uint64 // of the body
	large bool
}

// head is how long its head is.
func (r record) head() int {
	if r.large {
		return largeHead
	}
	return recordHead
}

// total is how long it is as a whole.
func (r record) total() int64 { return int64(r.head()) + r.size }

// appendHead appends the head of a record.
func (r record) appendHead(b []byte, seed uint64) []byte {
	var h [largeHead]byte
	k := uint32(r.kind)
	if r.large {
		k |= largeFlag
		binary.LittleEndian.PutUint64(h[32:], uint64(r.size))
		binary.LittleEndian.PutUint64(h[40:], r.check)
	} else {
		binary.LittleEndian.PutUint32(h[8:], uint32(r.size))
		binary.LittleEndian.PutUint32(h[12:], uint32(r.check))
	}
	binary.LittleEndian.PutUint32(h[4:], k|r.fn<<8)
	binary.LittleEndian.PutUint64(h[16:], r.key.Hi)
	binary.LittleEndian.PutUint64(h[24:], r.key.Lo)
	n := r.head()
	binary.LittleEndian.PutUint32(h[:], uint32(xxh3.HashSeed(h[4:n], seed)))
	return append(b, h[:n]...)
}

// parseHead reads the head of a record. It is false if b does not begin with one.
func parseHead(b []byte, seed uint64) (r record, ok bool) {
	if len(b) < recordHead {
		return r, false
	}
	k := binary.LittleEndian.Uint32(b[4:])
	r.kind, r.large, r.fn = kind(k&^largeFlag), k&largeFlag != 0, k>>8
	if r.kind < kindResult || r.kind > kindTime || r.large && len(b) < largeHead {
		return r, false
	}
	r.size = int64(binary.LittleEndian.Uint32(b[8:]))
	if r.size >= largeBody {
		return r, false
	}
	if binary.LittleEndian.Uint32(b) != uint32(xxh3.HashSeed(b[4:r.head()], seed)) {
		return r, false
	}
	r.check = uint64(binary.LittleEndian.Uint32(b[12:]))
	r.key = Key{Hi: binary.LittleEndian.Uint64(b[16:]), Lo: binary.LittleEndian.Uint64(b[24:])}
	if r.large {
		r.size = int64(binary.LittleEndian.Uint64(b[32:]))
		r.check = binary.LittleEndian.Uint64(b[40:])
		if r.size < 0 || r.size > maxBody {
			return r, false
		}
	}
	return r, true
}

// maxBody keeps sums of lengths within an int64.
const maxBody = 1 << 46

// bodyCheck is the checksum of a body.
func bodyCheck(seed uint64, parts ...[]byte) uint64 {
	if len(parts) == 1 {
		return xxh3.HashSeed(parts[0], seed)
	}
	h := xxh3.NewSeed(seed)
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	return h.Sum64()
}

// sound tells whether a body is what its record says.
func (r record) sound(body []byte, seed uint64) bool {
	sum := bodyCheck(seed, body)
	if !r.large {
		sum = uint64(uint32(sum))
	}
	return sum == r.check
}

// appendLayout appends what stands in front of the stream of a result.
func appendLayout(b []byte, segments [][]byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(segments)))
	for _, s := range segments {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	return b
}

var errLayout = errors.New("the body of a result is damaged")

// split takes the body of a result apart. The parts are b's memory.
func split(b []byte) (stream []byte, segments [][]byte, err error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)) {
		return nil, nil, errLayout
	}
	b = b[w:]
	if n == 0 {
		return b, nil, nil
	}
	segments = make([][]byte, n)
	sizes := make([]int, n)
	all := 0
	for i := range sizes {
		s, w := binary.Uvarint(b)
		if w <= 0 || s > uint64(len(b)) {
			return nil, nil, errLayout
		}
		b = b[w:]
		sizes[i] = int(s)
		if all += int(s); all > len(b) || all < 0 {
			return nil, nil, errLayout
		}
	}
	if all > len(b) {
		return nil, nil, errLayout
	}
	stream, b = b[:len(b)-all:len(b)-all], b[len(b)-all:]
	for i, s := range sizes {
		segments[i], b = b[:s:s], b[s:]
	}
	return stream, segments, nil
}

// appendFileHead appends the head of a file.
func appendFileHead(b []byte, seed uint64) []byte {
	var h [headCopy]byte
	copy(h[:], magic)
	binary.LittleEndian.PutUint64(h[32:], seed)
	binary.LittleEndian.PutUint64(h[40:], xxh3.Hash(h[:40]))
	return append(append(b, h[:]...), h[:]...)
}

// ErrNotALog is what opening a file fails with that is something else.
var ErrNotALog = errors.New("it is no journal of results, or of another version of rankpool, or its head is damaged: use another name")

// readFileHead returns the seed of a file.
func readFileHead(f io.ReaderAt) (seed uint64, err error) {
	var b [headSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for at := 0; at+headCopy <= n; at += headCopy {
		h := b[at : at+headCopy]
		if string(h[:len(magic)]) == magic && binary.LittleEndian.Uint64(h[40:]) == xxh3.Hash(h[:40]) {
			return binary.LittleEndian.Uint64(h[32:]), nil
		}
	}
	return 0, ErrNotALog
}

// Function is what a call is of.
type Function struct {
	Name    string
	Version string
	Types   [8]byte // a hash of the layout of its types
	Given   [8]byte // a hash of all else that a result depends on but the argument: what the workers are given
	epoch   uint64  // how often the name had been forgotten
}

func (f Function) body() []byte {
	b := binary.AppendUvarint(nil, uint64(len(f.Name)))
	b = append(b, f.Name...)
	b = binary.AppendUvarint(b, uint64(len(f.Version)))
	b = append(b, f.Version...)
	b = append(append(b, f.Types[:]...), f.Given[:]...)
	return binary.AppendUvarint(b, f.epoch)
}

func parseFunction(b []byte) (f Function, err error) {
	bad := errors.New("the record of a function is damaged")
	for _, s := range []*string{&f.Name, &f.Version} {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return f, bad
		}
		*s, b = string(b[w:w+int(n)]), b[w+int(n):]
	}
	if len(b) < len(f.Types)+len(f.Given)+1 {
		return f, bad
	}
	b = b[copy(f.Types[:], b):]
	b = b[copy(f.Given[:], b):]
	n, w := binary.Uvarint(b)
	if w <= 0 || w != len(b) {
		return f, bad
	}
	f.epoch = n
	return f, nil
}

func (f Function) String() string {
	if f.Version == "" {
		return f.Name
	}
	return fmt.Sprintf("%s version %s", f.Name, f.Version)
}
