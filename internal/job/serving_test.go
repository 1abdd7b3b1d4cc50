package job_test

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/link"
)

// still is the end of a worker whose master says nothing until it is gone.
type still struct {
	link.Endpoint
	of   any
	n    int
	said chan []byte   // the worker's first frame
	gone chan struct{} // closed when the master is gone
	over chan error    // what serving it has returned
}

func (s *still) Siblings() (of any, n int) { return s.of, s.n }
func (s *still) Journal() *link.Journal    { return link.NewJournal(make([]byte, 4<<10)) }
func (s *still) Close() error              { return nil }

func (s *still) Send(f link.Frame) error {
	s.said <- bytes.Clone(f.Stream)
	return nil
}

func (s *still) Recv() (link.Frame, error) {
	<-s.gone
	return link.Frame{}, io.EOF
}

func TestSlotsOfOneGroupHaveOneServiceForAsLongAsOneOfThemIsThere(t *testing.T) {
	var made atomic.Int64
	svc := dispatch.Service{Hello: dispatch.Hello{Rank: -1, Host: "here"}}
	svc.Slots = func() dispatch.Service {
		made.Add(1)
		return dispatch.Service{Hello: dispatch.Hello{Rank: -1, Host: "here"}}
	}
	svc.Hello.Rank = 7
	serve := job.Serving(svc)
	start := func(of any, n int) *still {
		s := &still{of: of, n: n, said: make(chan []byte, 1), gone: make(chan struct{}), over: make(chan error, 1)}
		go func() { s.over <- serve(s) }()
		return s
	}
	end := func(all ...*still) {
		for _, s := range all {
			close(s.gone)
			if err := <-s.over; !errors.Is(err, io.EOF) {
				t.Errorf("the end of a worker: %v", err)
			}
		}
	}
	expect := func(want int64) {
		t.Helper()
		if n := made.Load(); n != want {
			t.Errorf("%d services, want %d", n, want)
		}
	}
	alone := start(nil, 1)
	hello := <-alone.said
	expect(0)
	first, second, other := start("a", 2), start("a", 2), start("b", 2)
	for _, s := range []*still{first, second, other} {
		if said := <-s.said; !bytes.Equal(said, hello) {
			t.Errorf("a slot says %q, want %q", said, hello)
		}
	}
	expect(2)
	end(first)
	third := start("a", 2)
	<-third.said
	expect(2)
	end(alone, second, third)
	again := start("a", 2)
	<-again.said
	expect(3)
	end(other, again)
}
