package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
)

func TestWorkersOfSeveralHostsAreNumberedOnEachOfThem(t *testing.T) {
	hosts := []string{"a", "b", "a", "c", "b", "a"}
	var mu sync.Mutex
	next := 0
	places := map[string]map[int]dispatch.Place{}
	note := func(ctx context.Context) error {
		p, ok := dispatch.PlaceOf(ctx)
		if !ok {
			return errors.New("there is no place")
		}
		mu.Lock()
		defer mu.Unlock()
		if places[p.Host] == nil {
			places[p.Host] = map[int]dispatch.Place{}
		}
		places[p.Host][p.HostIndex] = p
		return nil
	}
	svc := dispatch.Service{
		Function: func(uint32) dispatch.Body { return function{double, true} },
		Setup: func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) {
			return -1, ctx, note(ctx)
		},
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
	}
	m := dispatch.New(dispatch.Config{
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
		Group: loopback.New(loopback.Config{
			Slots: len(hosts), Traits: &link.Traits{Kind: "loopback", SharesMem: true, Spread: true},
			Serve: func(ep link.Endpoint) {
				svc := svc
				mu.Lock()
				svc.Hello = dispatch.Hello{Pid: 1, Rank: -1, Host: hosts[next]} // in whatever order the workers come
				next++
				mu.Unlock()
				_ = dispatch.Serve(ep, svc)
			},
		}),
	})
	j, s := job(0, 1)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := m.Shutdown(ctx, true, false); err != nil {
		t.Error(err)
	}
	want := map[string]int{"a": 3, "b": 2, "c": 1}
	seen := map[int]bool{}
	for host, n := range want {
		got := places[host]
		if len(got) != n {
			t.Errorf("host %s has %v, want %d workers with numbers of their own", host, got, n)
		}
		last := -1
		for i := range n {
			g := got[i]
			if g.HostCount != n || g.Count != len(hosts) || g.Index <= last || seen[g.Index] {
				t.Errorf("worker %d of host %s: %+v", i, host, g)
			}
			last, seen[g.Index] = g.Index, true
		}
	}
}

// No time passes while they run, so they are tiny on any machine.
func TestUnitsThatAskWhereTheyRunStayTogether(t *testing.T) { synctest.Test(t, testStayTogether) }

func testStayTogether(t *testing.T) {
	frames := make(chan struct{}, 10_000)
	p := newPoolOf(t, 1, func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(counted{ep, frames}, svc) }, nil,
		func(ctx context.Context, x uint64) (uint64, error) {
			if p, ok := dispatch.PlaceOf(ctx); !ok || p.Count != 1 || p.Attempt != 1 {
				return 0, errors.New("it is not told where it runs")
			}
			return x, nil
		})
	p.submit(0, 1).wait(t) // measured
	before := len(frames)
	const n = 5000
	j, s := job(0, make([]uint64, n)...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	for unit, err := range s.errs {
		if err != nil {
			t.Fatal(unit, err)
		}
	}
	if got := len(frames) - before; got > n/3 {
		t.Errorf("%d units came in %d frames", n, got)
	}
}

// counted counts the frames that a worker takes in.
type counted struct {
	link.Endpoint
	frames chan struct{}
}

func (c counted) Recv() (link.Frame, error) {
	c.frames <- struct{}{}
	return c.Endpoint.Recv()
}

func TestOfTheSlotsOfAProcessOnlyTheFirstIsSentItsSetup(t *testing.T) {
	const set = "what the workers need"
	var mu sync.Mutex
	got := map[int]string{}
	svc := dispatch.Service{
		Function: func(uint32) dispatch.Body { return function{double, true} },
		Setup: func(ctx context.Context, b []byte, _ [][]byte) (int, context.Context, error) {
			p, ok := dispatch.PlaceOf(ctx)
			if !ok || p.Slot != p.Index%3 || p.Slots != 3 {
				return 0, nil, fmt.Errorf("%+v", p)
			}
			mu.Lock()
			defer mu.Unlock()
			got[p.Index] = string(b)
			return -1, ctx, nil
		},
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
	}
	m := dispatch.New(dispatch.Config{
		Setup:            []byte(set),
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
		Group: loopback.New(loopback.Config{
			Slots: 6, Traits: &link.Traits{Kind: "loopback", Slots: 3},
			Serve: func(ep link.Endpoint) { _ = dispatch.Serve(ep, svc) },
		}),
	})
	j, s := job(0, 1)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := m.Shutdown(ctx, true, false); err != nil {
		t.Error(err)
	}
	for i := range 6 {
		want := ""
		if i%3 == 0 {
			want = set
		}
		if b, ok := got[i]; !ok || b != want {
			t.Errorf("worker %d was set up with %q, want %q", i, b, want)
		}
	}
}
