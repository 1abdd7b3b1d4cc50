// Package hostmem keeps large pieces of bytes in memory that processes of this host share: a file without a name and a disk, written
// once, which each of them maps privately. What a process writes there is its own, the page that it has written to.
package hostmem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/fresh"
)

// A file is the pieces, each from a multiple of align on, the table of their places (offset and length, 8 bytes each, little-endian), and
// a tail: the number of pieces and magic.
const (
	align     = 64
	placeSize = 16
	tailSize  = 16
	magic     = 0x676c6f62616c7331
)

// mostPieces bounds the table.
const mostPieces = 1 << 24

// ErrDamaged is the error of a file that is none of this package's.
var ErrDamaged = errors.New("hostmem: the file is damaged")

// Memory is a file that is being written, and then sealed. One goroutine at a time may use it.
type Memory struct {
	file   *os.File
	places []place
	end    int64
	sealed bool
}

type place struct{ offset, length int64 }

// New returns empty memory. The error matches errors.ErrUnsupported where the system has none of this kind.
func New() (*Memory, error) {
	file, err := create()
	if err != nil {
		return nil, err
	}
	return &Memory{file: file}, nil
}

// Append copies a piece. It blocks as long as the copy takes. After an error the pieces before are as they were.
func (m *Memory) Append(b []byte) error {
	at := (m.end + align - 1) &^ (align - 1)
	if _, err := m.file.WriteAt(b, at); err != nil {
		_ = m.file.Truncate(m.end)
		return err
	}
	m.places = append(m.places, place{at, int64(len(b))})
	m.end = at + int64(len(b))
	return nil
}

// Seal completes the file. From then on nobody can change it, this process included. Sealed memory stays as it is.
func (m *Memory) Seal() error {
	if m.sealed {
		return nil
	}
	at := (m.end + align - 1) &^ (align - 1)
	var b []byte
	for _, p := range m.places {
		b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
		b = binary.LittleEndian.AppendUint64(b, uint64(p.length))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(m.places)))
	b = binary.LittleEndian.AppendUint64(b, magic)
	if _, err := m.file.WriteAt(b, at); err != nil {
		return err
	}
	err := seal(m.file)
	m.sealed = err == nil
	return err
}

// File is what another process maps or reads. It is closed by Close, and by the garbage collector.
func (m *Memory) File() *os.File { return m.file }

// Close lets go of the file. The memory is free when no process has it open or mapped.
func (m *Memory) Close() error { return m.file.Close() }

// Pieces returns copies of the pieces so far.
func (m *Memory) Pieces() ([][]byte, error) {
	return readPieces(m.file, m.places)
}

// Read returns copies of the pieces of a sealed file.
func Read(file *os.File) ([][]byte, error) {
	places, err := table(file)
	if err != nil {
		return nil, err
	}
	return readPieces(file, places)
}

func readPieces(file *os.File, places []place) ([][]byte, error) {
	pieces := make([][]byte, len(places))
	for i, p := range places {
		pieces[i] = fresh.Bytes(int(p.length))
		if _, err := file.ReadAt(pieces[i], p.offset); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

// Map returns the pieces of a sealed file, mapped for the life of this process, since nobody knows what refers to them: the garbage
// collector does not look into memory that is not its own. The pages are shared until they are written to.
func Map(file *os.File) ([][]byte, error) {
	places, err := table(file)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	last := places[len(places)-1]
	mem, err := mapPrivately(file, last.offset+last.length)
	if err != nil {
		return nil, err
	}
	pieces := make([][]byte, len(places))
	for i, p := range places {
		pieces[i] = mem[p.offset : p.offset+p.length : p.offset+p.length]
	}
	return pieces, nil
}

// table reads the places of a sealed file. They are in order and do not overlap.
func table(file *os.File) ([]place, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	var tail [tailSize]byte
	if size < tailSize {
		return nil, ErrDamaged
	}
	if _, err := file.ReadAt(tail[:], size-tailSize); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(tail[:])
	if binary.LittleEndian.Uint64(tail[8:]) != magic || n > mostPieces || int64(n)*placeSize > size-tailSize {
		return nil, ErrDamaged
	}
	b := make([]byte, n*placeSize)
	begin := size - tailSize - int64(len(b))
	if _, err := file.ReadAt(b, begin); err != nil {
		return nil, err
	}
	places, end := make([]place, n), int64(0)
	for i := range places {
		p := place{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}
		if b = b[placeSize:]; p.offset < end || p.length < 0 || p.offset > begin || p.length > begin-p.offset || int64(int(p.offset+p.length)) != p.offset+p.length {
			return nil, fmt.Errorf("%w: piece %d", ErrDamaged, i)
		}
		places[i], end = p, p.offset+p.length
	}
	return places, nil
}
