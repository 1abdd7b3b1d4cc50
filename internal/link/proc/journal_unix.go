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

// memory is what two processes share: a ring each way, and behind them the worker's journals, each with the recalls of its tasks.
type memory struct {
	file     *os.File
	mem      []byte
	journals []*link.Journal
}

// memorySize is the size of memory with so many journals.
func memorySize(journals int) int64 { return 2*ringSize + int64(journals)*(journalSize+recallSize) }

// recallSize is what the recalls take, in whole pages.
const recallSize = 64 << 10

// rings returns this process's ends of the rings to the worker and to the master.
func (m *memory) rings() (toWorker, toMaster *ring) {
	return newRing(m.mem), newRing(m.mem[ringSize:])
}

// reset prepares it for the next worker.
func (m *memory) reset() {
	for _, j := range m.journals {
		j.Reset()
	}
	for i := range 2 {
		clear(m.mem[i*ringSize:][:ringMarks])
	}
}

// newMemory makes zeroed shared memory without a name.
func newMemory(journals int) (*memory, error) {
	file, err := anonymousFile(memorySize(journals))
	if err != nil {
		return nil, err
	}
	m, err := mapMemory(file, journals)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// mapMemory maps a file of that size.
func mapMemory(file *os.File, journals int) (*memory, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, int(memorySize(journals)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	m := &memory{file: file, mem: mem}
	for at := 2 * ringSize; at < len(mem); at += journalSize + recallSize {
		j := link.NewJournal(mem[at : at+journalSize : at+journalSize])
		j.ShareRecalls(mem[at+journalSize : at+journalSize+recallSize])
		m.journals = append(m.journals, j)
	}
	return m, nil
}

func (m *memory) close() error { return errors.Join(unix.Munmap(m.mem), m.file.Close()) }
