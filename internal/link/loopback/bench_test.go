package loopback_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
)

// pingpong answers every frame with the next one from inside Receive, as a busy scheduler does.
type pingpong struct {
	g    *loopback.Group
	left int
	done chan struct{}
}

func (p *pingpong) Receive(w int, f link.Frame) {
	p.left--
	if p.left <= 0 {
		close(p.done)
		return
	}
	p.g.Send(w, f)
}

func (p *pingpong) Lost(int, link.Loss) {}

func BenchmarkRoundTripWithoutParking(b *testing.B) {
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	p := &pingpong{g: g, left: b.N, done: make(chan struct{})}
	open(b, g, p)
	g.Start(0)
	b.ReportAllocs()
	b.ResetTimer()
	g.Send(0, link.Frame{Stream: append(link.GetBuffer(), make([]byte, 64)...)})
	<-p.done
}

// bell rings for every frame.
type bell chan link.Frame

func (c bell) Receive(_ int, f link.Frame) { c <- f }
func (c bell) Lost(int, link.Loss)         {}

func BenchmarkRoundTripWithParking(b *testing.B) {
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	c := make(bell)
	open(b, g, c)
	g.Start(0)
	f := link.Frame{Stream: append(link.GetBuffer(), make([]byte, 64)...)}
	b.ReportAllocs()
	for b.Loop() {
		g.Send(0, f)
		f = <-c
	}
}

func BenchmarkSegmentsOf16MiB(b *testing.B) {
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	c := make(bell)
	open(b, g, c)
	g.Start(0)
	f := link.Frame{Segments: [][]byte{make([]byte, 16<<20)}}
	b.SetBytes(32 << 20)
	for b.Loop() {
		g.Send(0, f)
		<-c
	}
}
