//go:build unix

package proc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
)

// bell rings for every frame.
type bell chan link.Frame

func (c bell) Receive(_ int, f link.Frame) { c <- f }
func (c bell) Lost(int, link.Loss)         {}

// volley answers every frame from inside Receive, with a number of frames under way.
type volley struct {
	g    *proc.Group
	left int
	done chan struct{}
}

func (v *volley) Receive(w int, f link.Frame) {
	if v.left--; v.left == 0 {
		close(v.done)
	} else if v.left > 0 {
		v.g.Send(w, f)
	}
}

func (v *volley) Lost(int, link.Loss) {}

func benchGroup(b *testing.B, h link.Handler) *proc.Group {
	b.Helper()
	g := proc.New(proc.Config{Slots: 1, Args: []string{}})
	attach(b, g, h)
	return g
}

func attach(b *testing.B, g *proc.Group, h link.Handler) {
	b.Helper()
	if _, err := g.Open(context.Background(), h); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	g.Start(0)
}

func small() link.Frame {
	return link.Frame{Stream: append(append(link.GetBuffer(), 'e'), make([]byte, 63)...)}
}

func BenchmarkRoundTripOf64Bytes(b *testing.B) {
	v := &volley{left: 100, done: make(chan struct{})}
	v.g = benchGroup(b, v)
	v.g.Send(0, small())
	<-v.done
	v.left, v.done = b.N, make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	v.g.Send(0, small())
	<-v.done
}

func BenchmarkRoundTripOf64BytesToAnotherGoroutine(b *testing.B) {
	c := make(bell)
	g := benchGroup(b, c)
	g.Send(0, small())
	f := <-c // it is up
	for b.Loop() {
		g.Send(0, f)
		f = <-c
	}
}

func BenchmarkFrameOf64BytesWith32UnderWay(b *testing.B) {
	const under = 32
	v := &volley{left: b.N + under, done: make(chan struct{})}
	v.g = benchGroup(b, v)
	b.ReportAllocs()
	b.ResetTimer()
	for range under {
		v.g.Send(0, small())
	}
	<-v.done
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64 << 10, 256 << 10, 1 << 20, 16 << 20} {
		for _, way := range []string{"shown", "socket"} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, way), func(b *testing.B) {
				c := make(bell)
				cfg := proc.Config{Slots: 1, Args: []string{}}
				if way == "socket" {
					cfg.Env = []string{socketAlone}
				}
				g := proc.New(cfg)
				attach(b, g, c)
				segments := [][]byte{make([]byte, size)}
				b.SetBytes(2 * int64(size))
				b.ReportAllocs()
				g.Send(0, link.Frame{Stream: []byte{'e'}, Segments: segments})
				<-c
				for b.Loop() {
					g.Send(0, link.Frame{Stream: []byte{'e'}, Segments: segments})
					<-c
				}
			})
		}
	}
}
