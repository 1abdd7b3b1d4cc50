package proc

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link"
)

// reading returns what reads this very process, as a worker would read another.
func reading(t *testing.T) (p *peek, word, nonce uint64) {
	t.Helper()
	word, nonce = identity()
	p = new(peek)
	if err := p.read(os.Getpid(), word, nonce, nil, nil); err != nil {
		t.Skipf("this kernel does not let a process be read: %v", err)
	}
	return p, word, nonce
}

func TestOnlyTheProcessWithTheNonceIsRead(t *testing.T) {
	p, word, nonce := reading(t)
	from, to := bytes.Clone([]byte("secret")), make([]byte, 6) // the former not on the stack, which may move
	if err := p.read(os.Getpid(), word, nonce+1, [][]byte{to}, []uint64{address(from)}); err == nil || !strings.Contains(err.Error(), "not the one") {
		t.Errorf("with another nonce: %v", err)
	}
	if err := p.read(os.Getpid(), 8, nonce, [][]byte{to}, []uint64{address(from)}); !errors.Is(err, unix.EFAULT) {
		t.Errorf("with a word that is in no memory: %v", err)
	}
	if err := p.read(os.Getpid(), word, nonce, [][]byte{to}, []uint64{8}); err == nil || !strings.Contains(err.Error(), "not in its memory") {
		t.Errorf("with a segment that is in no memory: %v", err)
	}
	c := exec.Command("/bin/sh", "-c", "read _")
	if err := c.Run(); err == nil {
		t.Error("the shell has read something")
	}
	if err := p.read(c.Process.Pid, word, nonce, [][]byte{to}, []uint64{address(from)}); err == nil {
		t.Error("a process that has ended was read")
	}
	if err := p.read(os.Getpid(), word, nonce, [][]byte{to}, []uint64{address(from)}); err != nil || !bytes.Equal(from, to) {
		t.Errorf("%q, %v", to, err)
	}
}

func TestASegmentThatEndsInNoMemoryIsAnErrorHoweverMuchCouldBeRead(t *testing.T) {
	p, word, nonce := reading(t)
	const size = 4 * mostPeeked / 2
	mem, err := unix.Mmap(-1, 0, 2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	if err := unix.Mprotect(mem[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if err := p.read(os.Getpid(), word, nonce, [][]byte{make([]byte, size+1)}, []uint64{address(mem)}); err == nil {
		t.Error("it was read")
	}
}

func TestASenderDoesNotWaitForAReceiverThatHasClosed(t *testing.T) {
	m, ours, theirs := between(t)
	defer ours.Close()
	raw, err := theirs.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	to, _ := m.rings()
	to.able.Store(1)
	to.awake.Store(1)
	o := newOutbox()
	o.connect(raw, to)
	sent := make(chan error)
	go func() { sent <- o.sendAll(link.Frame{Segments: [][]byte{make([]byte, leastShown)}}) }()
	for to.waiting.Load() == 0 { // until it sleeps
		select {
		case err := <-sent:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err == nil {
		t.Error("Send succeeded although nobody fetched")
	}
}

func TestShownFramesFromAProcessThatCannotBeReadAreRefused(t *testing.T) {
	f := link.Frame{Stream: []byte("x"), Segments: [][]byte{make([]byte, 100)}}
	r := newReader(bytes.NewReader(append(appendHeader(nil, f, kindShown), f.Stream...)), 1<<30)
	if _, _, err := r.frame(); !errors.Is(err, errWire) {
		t.Errorf("by the socket: %v", err)
	}
	in, out := rings()
	in.put(1, f)
	if _, ok, err := out.take(1); ok || !errors.Is(err, errWire) {
		t.Errorf("by the ring: %v, %v", ok, err)
	}
}

func TestATableThatExceedsTheMachinesMemoryIsRefused(t *testing.T) {
	_, word, nonce := reading(t)
	_, ring := rings()
	ring.able.Store(1)
	ring.shown.Store(2)
	s := newSource(&ring.handover, os.Getpid(), 1<<20)
	s.word, s.nonce = word, nonce
	table := appendPlaces(nil, [][]byte{make([]byte, 1<<19), make([]byte, 1<<19)})
	if _, err := s.fetch(table, 1); !errors.Is(err, errWire) {
		t.Errorf("%v", err)
	}
	if got, err := s.fetch(table, 0); err != nil || len(got) != 2 {
		t.Errorf("what just fits: %d segments, %v", len(got), err)
	}
}

// The second piece is nowhere, so the reading ends there.
func TestWhatIsReadIsToldAsItGoes(t *testing.T) {
	p, word, nonce := reading(t)
	p.moved = new(atomic.Uint64)
	from := make([]byte, mostPeeked)
	err := p.read(os.Getpid(), word, nonce, [][]byte{make([]byte, len(from)), make([]byte, 1)}, []uint64{address(from), 8})
	if err == nil || p.moved.Load() != mostPeeked {
		t.Errorf("%d bytes were told of, want %d; %v", p.moved.Load(), mostPeeked, err)
	}
}
