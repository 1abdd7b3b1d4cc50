//go:build unix

package proc

import (
	"io"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/testkit"
)

// A receiver that stops to read is a worker that is stopped: after what the socket holds nothing moves.
func TestBytesAreToldOfAsTheyLeaveAndComeAndNotBefore(t *testing.T) {
	const size = 64 << 20 // far more than a socket holds
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{out: newOutbox()}
	p.out.connect(raw, newRing(make([]byte, ringSize)))
	const pings = 10
	for range pings { // what a worker is asked is no sign that it lives
		p.out.send(link.Frame{Stream: []byte("ping")})
	}
	if n := p.moved(); n > 0 {
		t.Errorf("%d bytes have moved, and nobody has read", n)
	}
	p.out.send(link.Frame{Stream: []byte("stream"), Segments: [][]byte{make([]byte, size)}})
	if n := p.moved(); n > size/4 {
		t.Errorf("%d bytes have moved, and nobody has read", n)
	}
	if _, err := io.CopyN(io.Discard, theirs, size/2); err != nil {
		t.Fatal(err)
	}
	// A write that the reader keeps up with is counted when it ends, which it does when the socket is full again.
	testkit.Until(t, "what the reader made room for is counted", func() bool { return p.moved() >= size/4 })
	half := p.moved()
	if half >= size {
		t.Errorf("%d bytes have moved, and %d were read", half, size/2)
	}
	rest := int64(pings*(headerSize+len("ping")) + headerSize + 8 + len("stream") + size - size/2)
	if _, err := io.CopyN(io.Discard, theirs, rest); err != nil {
		t.Fatal(err)
	}
	p.out.mu.Lock()
	writer := p.out.writer
	p.out.mu.Unlock()
	if writer != nil {
		<-writer
	}
	left := p.moved()
	if left < half+size/4 {
		t.Errorf("%d bytes have moved after %d and %d", left, half, size/4)
	}
	if _, err := theirs.WriteString("twelve bytes"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(socketReader{ours, &p.read}, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	if n := p.moved(); n != left+12 {
		t.Errorf("%d bytes have moved after %d and 12", n, left)
	}
}
