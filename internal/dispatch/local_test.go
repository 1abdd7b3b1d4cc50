package dispatch_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// localSink is a sink whose units run by reference.
type localSink struct {
	*sink
	context bool
	call    func(ctx context.Context, unit int) error
	ran     []atomic.Int32

	mu   sync.Mutex
	errs map[int]error
}

func newLocal(units int, call func(ctx context.Context, unit int) error) (*dispatch.Job, *localSink) {
	s := &localSink{sink: newSink(units), call: call, ran: make([]atomic.Int32, units), errs: map[int]error{}}
	return &dispatch.Job{Func: 0, Units: units, Local: true, Sink: s}, s
}

func (s *localSink) NeedsContext() bool { return s.context }

func (s *localSink) Run(ctx context.Context, u *dispatch.Units) bool {
	for {
		s.ran[u.Unit].Add(1)
		if err := s.call(ctx, u.Unit); err != nil {
			s.Failed(u.Unit, err)
			return false
		}
		if !u.Next() {
			return true
		}
	}
}

func (s *localSink) Failed(unit int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs[unit] = err
	return false
}

func (s *localSink) Failures(unit int, f func(int, error)) {
	s.mu.Lock()
	err := s.errs[unit]
	s.mu.Unlock()
	f(0, err)
}

func (s *localSink) Results(first, n int, _ []byte, _ [][]byte, _ *dispatch.Record) bool {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	for i := range n {
		s.got[first+i] = []uint64{1}
	}
	s.finish(n)
	return false
}

func (s *localSink) Part(unit int, p dispatch.Part) {
	if p.Err == nil {
		s.mu.Lock()
		p.Err = s.errs[unit]
		s.mu.Unlock()
	}
	s.sink.Part(unit, p)
}

// onceEach checks that every unit ran once, and failed if it should have.
func (s *localSink) onceEach(t *testing.T, fails func(unit int) bool) {
	t.Helper()
	for i := range s.ran {
		if n := s.ran[i].Load(); n != 1 {
			t.Errorf("unit %d ran %d times", i, n)
		}
		if failed := s.sink.errs[i] != nil; failed != fails(i) {
			t.Errorf("unit %d: %v", i, s.sink.errs[i])
		}
	}
}

func TestUnitsThatRunByReferenceEndOneByOneHoweverTheyEnd(t *testing.T) {
	for _, withContext := range []bool{false, true} {
		p := newPool(t, 2, nil)
		kinds := []func() error{
			func() error { return errors.New("no") }, func() error { panic("no") }, func() error { runtime.Goexit(); return nil },
		}
		bad := func(unit int) bool { return unit%97 == 96 || unit%211 < 2 }
		j, s := newLocal(20_000, func(_ context.Context, unit int) error {
			if bad(unit) {
				return kinds[unit%len(kinds)]()
			}
			return nil
		})
		s.context = withContext
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
		s.onceEach(t, bad)
	}
}

// It does so in a batch with it, once the function has proven tiny.
func TestAUnitThatRunsByReferenceMayWaitForTheOneBehindIt(t *testing.T) {
	p := newPool(t, 2, nil)
	for _, waits := range []int{0, 1000, 2047, 4998} {
		release := make(chan struct{})
		j, s := newLocal(5000, func(_ context.Context, unit int) error {
			switch unit {
			case waits:
				await(t, release, "run of the next unit")
			case waits + 1:
				close(release)
			}
			return nil
		})
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
		s.onceEach(t, func(int) bool { return false })
	}
}

func TestSingleJobsThatRunByReferenceEndOneByOneHoweverTheyEnd(t *testing.T) {
	p := newPool(t, 2, nil)
	bad := func(i int) bool { return i%53 == 7 }
	var ran atomic.Int32
	all := make([]*localSink, 20_000)
	for i := range all {
		j, s := newLocal(1, func(context.Context, int) error {
			if ran.Add(1); bad(i) {
				panic("no")
			}
			return nil
		})
		s.cancelled.Store(i%101 == 9)
		all[i] = s
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
	}
	want := int32(0)
	for i, s := range all {
		if i%101 == 9 {
			continue
		}
		want++
		s.wait(t)
		s.onceEach(t, func(int) bool { return bad(i) })
	}
	if ran.Load() != want {
		t.Errorf("%d ran of %d that were not cancelled", ran.Load(), want)
	}
}
