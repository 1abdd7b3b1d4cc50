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

// memory is what two processes share: the worker's journal, and behind it a ring each way and the recalls of its tasks.
type memory struct {
	file    *os.File
	mem     []byte
	journal *link.Journal
}

const memorySize = journalSize + 2*ringSize + recallSize

// recallSize is what the recalls take, in whole pages.
const recallSize = 64 << 10

// rings returns this process's ends of the rings to the worker and to the master.
func (m *memory) rings() (toWorker, toMaster *ring) {
	return newRing(m.mem[journalSize:]), newRing(m.mem[journalSize+ringSize:])
}

// reset prepares it for the next worker.
func (m *memory) reset() {
	m.journal.Reset()
	for i := range 2 {
		clear(m.mem[journalSize+i*ringSize:][:ringMarks])
	}
}

// newMemory makes zeroed shared memory without a name.
func newMemory() (*memory, error) {
	file, err := anonymousFile(memorySize)
	if err != nil {
		return nil, err
	}
	m, err := mapMemory(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// mapMemory maps a file of that size.
func mapMemory(file *os.File) (*memory, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, memorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	j := link.NewMarks(mem[:journalSize:journalSize])
	j.ShareRecalls(mem[memorySize-recallSize:])
	return &memory{file: file, mem: mem, journal: j}, nil
}

func (m *memory) close() error { return errors.Join(unix.Munmap(m.mem), m.file.Close()) }
