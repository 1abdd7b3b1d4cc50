package loopback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var patience = testkit.Limit

func echo(ep link.Endpoint) {
	defer ep.Close()
	for {
		f, err := ep.Recv()
		if err != nil {
			return
		}
		_ = ep.Send(f)
	}
}

// events records what the handler hears, in words.
type events chan string

func (e events) Receive(w int, f link.Frame) { e <- fmt.Sprintf("%d: %s", w, f.Stream) }
func (e events) Lost(w int, l link.Loss) {
	s := fmt.Sprintf("%d lost: %v", w, l.Err)
	if l.Proof {
		s += fmt.Sprintf(" (finished %d, picked %d, %q)", l.Finished, l.Picked, l.Salvage)
	}
	e <- s
}

func (e events) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-e:
			if diff := cmp.Diff(w, got); diff != "" {
				t.Fatalf("event (-want +got):\n%s", diff)
			}
		case <-time.After(patience):
			t.Fatalf("no event, want %q", w)
		}
	}
}

func open(tb testing.TB, g *loopback.Group, h link.Handler) {
	tb.Helper()
	if _, err := g.Open(context.Background(), h); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
}

func text(s string) link.Frame { return link.Frame{Stream: append(link.GetBuffer(), s...)} }

func TestNoGoroutineBeforeStart(t *testing.T) {
	before := runtime.NumGoroutine()
	g := loopback.New(loopback.Config{Slots: 8, Serve: echo})
	open(t, g, make(events, 8))
	if n := runtime.NumGoroutine(); n > before { // those of tests before may be fewer by now
		t.Errorf("%d goroutines after Open, %d before New", n, before)
	}
}

func TestAWorkerThatEndsBadlyIsLostWithItsJournal(t *testing.T) {
	cases := []struct {
		name, want string
		end        func()
	}{
		{"return", "worker 0 returned without closing its endpoint", func() {}},
		{"panic", "worker 0 panicked: ouch", func() { panic("ouch") }},
		{"goexit", "worker 0 ended by runtime.Goexit", runtime.Goexit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := make(events, 8)
			g := loopback.New(loopback.Config{Slots: 1, Serve: func(ep link.Endpoint) {
				j := ep.Journal()
				j.Picked(3)
				b := append(j.Buffer(), "result"...)
				j.Finished(2, len(b))
				_ = ep.Send(text("sent before"))
				c.end()
			}})
			open(t, g, e)
			g.Start(0)
			e.expect(t, "0: sent before", "0 lost: "+c.want+` (finished 2, picked 3, "result")`)
		})
	}
}

func TestAPanicKeepsItsErrorAndStack(t *testing.T) {
	losses := make(chan link.Loss, 1)
	g := loopback.New(loopback.Config{Slots: 1, Serve: func(link.Endpoint) { panic(io.ErrNoProgress) }})
	open(t, g, lossOnly(losses))
	g.Start(0)
	l := <-losses
	if !errors.Is(l.Err, io.ErrNoProgress) {
		t.Errorf("Err = %v, want it to wrap the panic's error", l.Err)
	}
	if s := fmt.Sprintf("%+v", l.Err); !strings.Contains(s, "loopback_test.go") {
		t.Errorf("%%+v has no stack: %s", s)
	}
	if s := l.Err.Error(); strings.Contains(s, "\n") {
		t.Errorf("Error() has more than one line: %s", s)
	}
}

type lossOnly chan link.Loss

func (lossOnly) Receive(int, link.Frame)   {}
func (c lossOnly) Lost(_ int, l link.Loss) { c <- l }

func TestLocalValuesTravelByReference(t *testing.T) {
	c := make(bell, 1)
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	open(t, g, c)
	g.Start(0)
	v := new(int)
	g.Send(0, link.Frame{Local: v})
	if f := <-c; f.Local != v {
		t.Errorf("Local = %v, want the pointer that was sent", f.Local)
	}
}

func TestAGroupWithoutSharedMemoryRefusesLocal(t *testing.T) {
	losses := make(lossOnly, 1)
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo, Traits: &link.Traits{Kind: "loopback"}})
	open(t, g, losses)
	g.Start(0)
	g.Send(0, link.Frame{Local: 1})
	if l := <-losses; !errors.Is(l.Err, link.ErrLocal) {
		t.Errorf("Err = %v, want ErrLocal", l.Err)
	}
	g.Start(0)
	if l := <-losses; l.Err == nil || !strings.Contains(l.Err.Error(), "does not replace") {
		t.Errorf("second Start: %v", l.Err)
	}
}

func TestTheStreamIsNotCopiedAndSegmentsAre(t *testing.T) {
	c := make(bell, 1)
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	open(t, g, c)
	g.Start(0)
	stream, seg := []byte("stream"), []byte("segment")
	g.Send(0, link.Frame{Stream: stream, Segments: [][]byte{seg}})
	f := <-c
	if &f.Stream[0] != &stream[0] {
		t.Error("the stream was copied")
	}
	if &f.Segments[0][0] == &seg[0] {
		t.Error("the segment aliases the sender's memory")
	}
}

func TestAHandlerMaySendStartAndKillFromItsCalls(t *testing.T) {
	done := make(chan error, 1)
	var h scripted
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	lives := 0
	h.receive = func(w int, f link.Frame) {
		if string(f.Stream) == "1" {
			g.Send(w, text("2"))
		} else {
			g.Kill(w, io.ErrUnexpectedEOF)
		}
	}
	h.lost = func(w int, l link.Loss) {
		if lives++; lives == 1 {
			g.Start(w)
			g.Send(w, text("1"))
		} else if lives == 2 {
			done <- l.Err
		}
	}
	open(t, g, &h)
	g.Start(0)
	g.Send(0, text("1"))
	if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Err = %v, want the cause", err)
	}
}

type scripted struct {
	receive func(int, link.Frame)
	lost    func(int, link.Loss)
}

func (s *scripted) Receive(w int, f link.Frame) { s.receive(w, f) }
func (s *scripted) Lost(w int, l link.Loss)     { s.lost(w, l) }

func TestKillCutsOffABusyWorkerAndCloseWaitsForIt(t *testing.T) {
	e := make(events, 8)
	release := make(chan struct{})
	result := make(chan error, 2)
	g := loopback.New(loopback.Config{Slots: 1, Serve: func(ep link.Endpoint) {
		<-release
		result <- ep.Send(text("too late"))
		_, err := ep.Recv()
		result <- err
	}})
	if _, err := g.Open(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	g.Start(0)
	g.Send(0, text("never read"))
	g.Kill(0, errors.New("too slow"))
	e.expect(t, "0 lost: too slow")

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Close(ended); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "slots [0]") {
		t.Errorf("Close = %v, want the slot and the context's error", err)
	}
	close(release)
	if err := g.Close(context.Background()); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if err := <-result; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Send after the cut = %v", err)
	}
	if err := <-result; err != io.EOF {
		t.Errorf("Recv after the cut = %v", err)
	}
	if len(e) != 0 {
		t.Errorf("unexpected event %q", <-e)
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	ctx, e := context.Background(), make(events)
	if _, err := loopback.New(loopback.Config{Serve: echo}).Open(ctx, e); err == nil {
		t.Error("no slots: no error")
	}
	if _, err := loopback.New(loopback.Config{Slots: 1}).Open(ctx, e); err == nil {
		t.Error("nothing to serve: no error")
	}
	g := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	open(t, g, e)
	if _, err := g.Open(ctx, e); err == nil {
		t.Error("second Open: no error")
	}
	closed := loopback.New(loopback.Config{Slots: 1, Serve: echo})
	_ = closed.Close(ctx)
	if _, err := closed.Open(ctx, e); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Open after Close = %v", err)
	}
}
