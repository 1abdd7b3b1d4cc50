package slots_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
	"github.com/rankpool/rankpool/internal/link/slots"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// event is what a handler was told.
type event struct {
	w    int
	text string
	lost bool
	loss link.Loss
}

type handler chan event

func (h handler) Receive(w int, f link.Frame) { h <- event{w: w, text: string(f.Stream)} }
func (h handler) Lost(w int, l link.Loss)     { h <- event{w: w, lost: true, loss: l} }

func (h handler) next(t *testing.T) event {
	t.Helper()
	select {
	case e := <-h:
		return e
	case <-time.After(testkit.Limit):
		t.Fatal("nothing came")
		return event{}
	}
}

// echo returns what it is sent, until that is the word.
func echo(ep link.Endpoint) error {
	for {
		f, err := ep.Recv()
		if err != nil {
			return err
		}
		if string(f.Stream) == "leave" {
			return ep.Close()
		}
		if err := ep.Send(f); err != nil {
			return err
		}
	}
}

// open returns a group of members with n slots each, which echo.
func open(t *testing.T, members, n int) (*slots.Group, handler) {
	t.Helper()
	g := slots.Share(loopback.New(loopback.Config{Slots: members, JournalSize: 1 << 10, Serve: func(ep link.Endpoint) {
		_ = slots.Serve(ep, n, echo) // its end is the loss
	}}), n)
	h := make(handler, 1000)
	if got, err := g.Open(t.Context(), h); got != members*n || err != nil {
		t.Fatal(got, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Limit)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if g.Traits().Slots != n {
		t.Error(g.Traits())
	}
	return g, h
}

func frame(s string) link.Frame { return link.Frame{Stream: append(link.GetBuffer(), s...)} }

func TestFramesReachTheirSlotInOrderAndComeBackFromIt(t *testing.T) {
	g, h := open(t, 2, 3)
	for w := range 6 {
		g.Start(w)
	}
	for i := range 50 {
		for w := range 6 {
			g.Send(w, frame(fmt.Sprint(w, i)))
		}
	}
	next := make([]int, 6)
	for range 300 {
		e := h.next(t)
		if want := fmt.Sprint(e.w, next[e.w]); e.lost || e.text != want {
			t.Fatalf("%+v, want %s", e, want)
		}
		next[e.w]++
	}
}

func TestTheSlotsOfAMemberAreLostTogether(t *testing.T) {
	g, h := open(t, 2, 3)
	why := errors.New("the reason")
	for range 2 { // the second time after another start
		for w := range 6 {
			g.Start(w)
		}
		g.Kill(4, why)
		for i := range 3 {
			if e := h.next(t); !e.lost || e.w != 3+i || !errors.Is(e.loss.Err, why) {
				t.Fatalf("%+v", e)
			}
		}
		for _, w := range []int{0, 1, 2} {
			g.Send(w, frame("leave"))
		}
		for i := range 3 {
			if e := h.next(t); !e.lost || e.w != i || e.loss.Err != nil {
				t.Fatalf("%+v", e)
			}
		}
	}
}

func TestAMemberWhoseSlotsAreNotAllStartedDoesNotRun(t *testing.T) {
	g, h := open(t, 1, 3)
	why := errors.New("the reason")
	g.Start(0)
	g.Start(2)
	g.Send(2, frame("nobody"))
	g.Kill(2, why)
	if e := h.next(t); !e.lost || e.w != 2 || !errors.Is(e.loss.Err, why) {
		t.Fatalf("%+v", e)
	}
	g.Start(2)
	g.Start(1)
	g.Send(1, frame("here"))
	if e := h.next(t); e.lost || e.w != 1 || e.text != "here" {
		t.Fatalf("%+v", e)
	}
}

func TestWhatWasStartedIsLostWhenTheGroupCloses(t *testing.T) {
	g, h := open(t, 1, 2)
	g.Start(1)
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if e := h.next(t); !e.lost || e.w != 1 || !errors.Is(e.loss.Err, link.ErrClosed) {
		t.Fatalf("%+v", e)
	}
}
