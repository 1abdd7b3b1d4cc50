//go:build unix

package proc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/testkit"
)

// showing starts a group whose one worker does an act, and returns when both sides have found that they can read each other.
func showing(t *testing.T, act string) (*proc.Group, events) {
	t.Helper()
	if !proc.Allowed() {
		t.Skip("this kernel does not let one process read another")
	}
	g, e := acting(t, act, proc.Config{Env: []string{"RANKPOOL_PROC_SOCKET=0"}})
	until(t, "reading each other's memory", func() bool { return g.Shows(0) })
	return g, e
}

func TestSegmentsOfEverySizeArriveByEitherWay(t *testing.T) {
	few := func(n int, sizes ...int) (all [][]byte) {
		for i := range n {
			for _, size := range sizes {
				all = append(all, bytes.Repeat([]byte{byte(i + size)}, size))
			}
		}
		return all
	}
	large := 64 << 20
	if testkit.Race || testing.Short() {
		large = 5<<20 + 3
	}
	cases := []struct {
		name     string
		segments [][]byte
		shown    uint32
	}{
		{"none", nil, 0},
		{"empty ones", few(3, 0), 0},
		{"one byte too small", few(1, proc.LeastShown-1), 0},
		{"just large enough", few(1, proc.LeastShown), 1},
		{"large with empty ones", few(2, 0, proc.LeastShown, 0), 1},
		{"large with small ones", few(1, 1, proc.LeastShown, 3, 100), 1},
		{"many pieces", few(3000, proc.LeastPiece+1), 1}, // more than a system call takes, and than the ring
		{"many small pieces", few(5000, proc.LeastPiece/4), 0},
		{"one that takes several system calls", few(1, large), 1},
		{"several that take several system calls", few(2, 17<<20, 1, 0, 31<<20), 1},
	}
	for _, way := range []string{"shown", "by the socket alone"} {
		t.Run(way, func(t *testing.T) {
			var g *proc.Group
			var e events
			if way == "shown" {
				g, e = showing(t, "")
			} else {
				g, e = acting(t, "", proc.Config{Env: []string{socketAlone}})
			}
			for _, c := range cases {
				if way != "shown" {
					c.shown = 0
				}
				to, from := g.Shown(0)
				g.Send(0, link.Frame{Stream: []byte("echo"), Segments: c.segments})
				f := e.frame(t)
				if len(f.Segments) != len(c.segments) || string(f.Stream) != "echo" {
					t.Fatalf("%s: %q and %d segments came back", c.name, f.Stream, len(f.Segments))
				}
				for i := range f.Segments {
					if !bytes.Equal(f.Segments[i], c.segments[i]) {
						t.Fatalf("%s: segment %d of %d bytes came back different", c.name, i, len(c.segments[i]))
					}
				}
				if a, b := g.Shown(0); a-to != c.shown || b-from != c.shown {
					t.Errorf("%s: %d frames were shown to the worker and %d by it, want %d", c.name, a-to, b-from, c.shown)
				}
			}
		})
	}
}

func TestAWorkerKilledWhileItReadsTheMasterIsAnOrdinaryLoss(t *testing.T) {
	g, e := showing(t, "drink")
	pid := number(t, e.frame(t))
	s := make([]byte, 64<<20)
	for round := range 5 {
		for range 50 {
			g.Send(0, link.Frame{Segments: [][]byte{s}})
		}
		for range round * 100 {
			runtime.Gosched()
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		if l := e.loss(t); l.Err == nil || !strings.Contains(l.Err.Error(), "signal: killed, not by its master") {
			t.Fatalf("Err = %v", l.Err)
		}
		g.Start(0)
		pid = number(t, e.frame(t))
		until(t, "reading each other's memory", func() bool { return g.Shows(0) })
	}
}

func TestAWorkerKilledWhileItIsReadIsAnOrdinaryLoss(t *testing.T) {
	g, e := showing(t, "pour")
	for round := range 5 {
		g.Send(0, link.Frame{Stream: binary.LittleEndian.AppendUint64(nil, 8<<20)})
		pid := number(t, e.frame(t))
		for range round {
			if f := e.frame(t); len(f.Segments) != 1 || len(f.Segments[0]) != 8<<20 {
				t.Fatal("a frame that was poured is not whole")
			}
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		var l link.Loss
		for lost := false; !lost; {
			select {
			case <-e.frames:
			case l = <-e.losses:
				lost = true
			case <-time.After(patience):
				t.Fatal("no loss")
			}
		}
		if l.Err == nil || !strings.Contains(l.Err.Error(), "signal: killed, not by its master") {
			t.Fatalf("Err = %v", l.Err)
		}
		for len(e.frames) > 0 {
			<-e.frames
		}
		g.Start(0)
		until(t, "reading each other's memory", func() bool { return g.Shows(0) })
	}
}

func TestAStoppedWorkerWithALargeFrameBlocksNeitherSendNorAClose(t *testing.T) {
	g, e := showing(t, "drink")
	pid := number(t, e.frame(t))
	stop(t, pid)
	s := make([]byte, 8<<20)
	for range 2000 { // 16 GiB, were it copied
		g.Send(0, link.Frame{Segments: [][]byte{s}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprint("process ", pid)) {
		t.Errorf("Close = %v, want it to name the worker", err)
	}
	if l := e.loss(t); l.Err == nil {
		t.Error("the worker was lost without an error")
	}
}

// What is shown by the ring and what is shown by the socket must be fetched in order: a fetch lets go of all before it.
func TestWhatIsShownByBothWaysIsLetGoInOrder(t *testing.T) {
	g, e := showing(t, "same")
	for i := range 600 {
		size := proc.LeastShown
		if i%3 == 2 {
			size = proc.MostRung + 1
		}
		g.Send(0, link.Frame{Stream: []byte{byte(i)}, Segments: [][]byte{bytes.Repeat([]byte{byte(i)}, size)}})
		if i%20 == 0 {
			runtime.GC() // and what was let go is overwritten by what follows
		}
	}
	g.Send(0, link.Frame{Stream: link.GetBuffer()})
	if f := e.frame(t); string(f.Stream) != "over" {
		t.Errorf("the worker says %q", f.Stream)
	}
}

// showOnce shows a segment that nobody else has, and returns what tells whether the sender has let go of it.
func showOnce(g *proc.Group) (gone func() bool) {
	var over atomic.Bool
	s := make([]byte, 1<<20)
	runtime.AddCleanup(&s[0], func(int) { over.Store(true) }, 0)
	g.Send(0, link.Frame{Segments: [][]byte{s}})
	return func() bool {
		runtime.GC()
		return over.Load()
	}
}

func TestWhatWasFetchedIsLetGo(t *testing.T) {
	g, e := showing(t, "drink")
	e.frame(t)
	gone := showOnce(g)
	until(t, "the end of what was shown", gone)
}

func TestWhatAKilledWorkerDidNotFetchIsLetGo(t *testing.T) {
	g, e := showing(t, "drink")
	stop(t, number(t, e.frame(t)))
	gone := showOnce(g)
	for range 2 {
		if gone() {
			t.Fatal("it was let go while the worker could still read it")
		}
	}
	g.Kill(0, errors.New("enough"))
	e.loss(t)
	until(t, "the end of what was shown", gone)
}

func TestMemoryThatIsNotGosCanBeShown(t *testing.T) {
	g, e := showing(t, "")
	s, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(os.NewSyscallError("mmap", err))
	}
	defer func() { _ = syscall.Munmap(s) }()
	s[0], s[len(s)-1] = 1, 2
	g.Send(0, link.Frame{Stream: []byte("e"), Segments: [][]byte{s}})
	if f := e.frame(t); len(f.Segments) != 1 || !bytes.Equal(f.Segments[0], s) {
		t.Error("it came back different")
	}
}

func TestASliceThatWasUnmappedIsALossThatSaysSo(t *testing.T) {
	g, e := showing(t, "drink")
	pid := number(t, e.frame(t))
	stop(t, pid)
	s, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(os.NewSyscallError("mmap", err))
	}
	defer func() { _ = syscall.Munmap(s) }()
	g.Send(0, link.Frame{Segments: [][]byte{s}})
	// The addresses stay taken: whatever this process maps next could come to be there, and would be read.
	if err := unix.Mprotect(s, unix.PROT_NONE); err != nil {
		t.Fatal(os.NewSyscallError("mprotect", err))
	}
	_ = syscall.Kill(pid, syscall.SIGCONT)
	if l := e.loss(t); l.Err == nil || !strings.Contains(l.Err.Error(), "could not read what it was sent") {
		t.Errorf("Err = %v", l.Err)
	}
}
