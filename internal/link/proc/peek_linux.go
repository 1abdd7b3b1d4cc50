package proc

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/futex"
)

const (
	// mostPeeked is how many bytes one system call reads, so that a process that is killed ends soon.
	mostPeeked = 16 << 20

	// mostPlaces is how many pieces one system call reads; every Linux takes as many.
	mostPlaces = 1024
)

// self is the word by which others know that what they read is this process: a number that no other process has there.
var self struct {
	once  sync.Once
	nonce atomic.Uint64
}

// identity returns where this process's nonce is, and the nonce.
func identity() (word, nonce uint64) {
	self.once.Do(func() {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		self.nonce.Store(binary.LittleEndian.Uint64(b[:]) | 1)
	})
	return uint64(uintptr(unsafe.Pointer(&self.nonce))), self.nonce.Load()
}

// address is where a segment is, for another process.
func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// peek reads the memory of another process.
type peek struct {
	local  []unix.Iovec
	remote []unix.RemoteIovec
	seen   *[8]byte
	moved  *atomic.Uint64 // is told what has been read, as it goes; may be nil
}

// read fills the pieces from the places in the process with that number, which must have the nonce at word: each system
// call reads it first, so that nothing is taken from a process that has another's number. An end of the process is
// io.ErrUnexpectedEOF. Without pieces it reads the nonce.
func (p *peek) read(pid int, word, nonce uint64, pieces [][]byte, places []uint64) error {
	if p.seen == nil {
		p.seen = new([8]byte)
	}
	defer func() { // the memory is its receiver's from now on
		clear(p.local[:cap(p.local)])
		p.local, p.remote = p.local[:0], p.remote[:0]
	}()
	i, at := 0, 0
	for first := true; first || i < len(pieces); first = false {
		p.local = append(p.local[:0], unix.Iovec{Base: &p.seen[0]})
		p.local[0].SetLen(8)
		p.remote = append(p.remote[:0], unix.RemoteIovec{Base: uintptr(word), Len: 8})
		sum := 0
		for k, from := i, at; k < len(pieces) && len(p.local) < mostPlaces && sum < mostPeeked; k, from = k+1, 0 {
			part := fresh.Part(pieces[k][from:], mostPeeked-sum)
			n := len(part)
			if n == 0 {
				continue
			}
			fresh.Back(part)
			v := unix.Iovec{Base: &part[0]}
			v.SetLen(n)
			p.local = append(p.local, v)
			p.remote = append(p.remote, unix.RemoteIovec{Base: uintptr(places[k]) + uintptr(from), Len: n})
			if sum += n; n < len(pieces[k])-from {
				break
			}
		}
		n, err := unix.ProcessVMReadv(pid, p.local, p.remote, 0)
		for err == unix.EINTR {
			n, err = unix.ProcessVMReadv(pid, p.local, p.remote, 0)
		}
		switch {
		case errors.Is(err, unix.ESRCH):
			return fmt.Errorf("proc: process %d ended while its memory was read: %w", pid, io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("proc: the memory of process %d cannot be read any more, set RANKPOOL_PROC_SOCKET=1 if that is meant: %w", pid, os.NewSyscallError("process_vm_readv", err))
		case n < 8 || binary.NativeEndian.Uint64(p.seen[:]) != nonce:
			return fmt.Errorf("proc: process %d is not the one that showed its memory; has it executed another program?", pid)
		case n == 8 && sum > 0:
			return fmt.Errorf("proc: %d bytes that process %d shows are not in its memory; was a slice unmapped while a task had it?", sum, pid)
		}
		if p.moved != nil {
			p.moved.Add(uint64(n - 8))
		}
		for n -= 8; i < len(pieces) && n >= len(pieces[i])-at; i, at = i+1, 0 {
			n -= len(pieces[i]) - at
		}
		at += n
	}
	return nil
}

func wake(word *atomic.Uint32) { futex.Wake(word) }

func sleep(word *atomic.Uint32, value uint32, limit time.Duration) { futex.Wait(word, value, limit) }

// admitChildren lets the children of this process read its memory where the kernel (Yama's scope 1, the default of many
// distributions) keeps that to parents. The exception that it makes is of this process's own number: it holds for its
// descendants and for nobody else. A program that has made another one loses it, and its descendants keep it.
func admitChildren() {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err == nil && strings.TrimSpace(string(scope)) == "1" {
		_ = unix.Prctl(unix.PR_SET_PTRACER, uintptr(os.Getpid()), 0, 0, 0)
	}
}
