//go:build unix

package proc

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link"
)

// journalSize is the size of a worker's journal. Only the pages that are written take memory.
const journalSize = 1 << 20

// memory is a journal that two processes share.
type memory struct {
	file    *os.File
	mem     []byte
	journal *link.Journal
}

// newMemory makes zeroed shared memory without a name.
func newMemory() (*memory, error) {
	file, err := anonymousFile()
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(journalSize); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m, err := mapMemory(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// mapMemory maps a file that has the size of a journal.
func mapMemory(file *os.File) (*memory, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, journalSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &memory{file: file, mem: mem, journal: link.NewJournal(mem)}, nil
}

func (m *memory) close() error { return errors.Join(unix.Munmap(m.mem), m.file.Close()) }
