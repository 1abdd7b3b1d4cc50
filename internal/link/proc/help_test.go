//go:build unix

package proc

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/testkit"
)

// numbered is a handler that is interested in first bytes.
type numbered chan byte

func (n numbered) Receive(_ int, f link.Frame) { n <- f.Stream[0] }
func (n numbered) Lost(int, link.Loss)         {}

// between returns what is between a master and a worker: their memory, and the ends of their socket.
func between(t *testing.T) (m *memory, ours, theirs *os.File) {
	t.Helper()
	m, err := newMemory(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.close() })
	if ours, theirs, err = socketPair(); err != nil {
		t.Fatal(err)
	}
	return m, ours, theirs
}

// A frame is on its way by the socket, the next one is in the ring, and the goroutine that helps leaves before the first has come.
func TestAFrameInTheRingIsNotLeftBehindOneOfTheSocket(t *testing.T) {
	got := make(numbered, 2)
	g := newGroup(Config{Slots: 1, Logger: slog.New(slog.DiscardHandler)})
	g.handler, g.slots = got, make([]slot, 1)
	m, ours, theirs := between(t)
	// The child lives as long as the test wants: with its end nobody would look into the ring any more.
	input, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "read _"}, &os.ProcAttr{Files: []*os.File{input}})
	_ = input.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &g.slots[0]
	p := &process{group: g, slot: s, out: newOutbox(), child: child, memory: m}
	_, p.ring = m.rings()
	s.current.Store(p)
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.receive(ours)
	}()
	_, worker := m.rings()
	first := append(appendHeader(nil, link.Frame{Stream: []byte{1}}, kindFrame), 1)
	half := len(first) / 2
	_, err = theirs.Write(first[:half])
	for !p.attend(true) { // somebody delivers nothing, for a moment
		time.Sleep(time.Millisecond)
	}
	if err != nil || !worker.put(2, link.Frame{Stream: []byte{2}}) || worker.awake.Load() == 0 { // so no wake is sent
		t.Fatalf("the frame did not go into the ring: %v", err)
	}
	for !p.attend(false) {
		time.Sleep(time.Millisecond)
	}
	if _, err := theirs.Write(first[half:]); err != nil {
		t.Fatal(err)
	}
	for want := byte(1); want < 3; want++ {
		select {
		case n := <-got:
			if n != want {
				t.Fatalf("frame %d came as number %d", n, want)
			}
		case <-time.After(testkit.Limit):
			t.Fatalf("frame %d is stuck", want)
		}
	}
	_ = end.Close()
	_ = theirs.Close()
	<-over
}

func TestARingWhoseRestIsSkippedBeyondItsEndIsDamaged(t *testing.T) {
	_, out := rings()
	binary.LittleEndian.PutUint32(out.data, ringSkip)
	out.tail.Store(16)
	if _, ok, err := out.take(1); ok || !errors.Is(err, errWire) {
		t.Errorf("%v, %v", ok, err)
	}
}
