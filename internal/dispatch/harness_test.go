package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// limit bounds every wait of these tests: far above what any of them needs.
var limit = testkit.Limit

// function is a Body over uvarints.
type function struct {
	call    func(ctx context.Context, x uint64) (uint64, error)
	context bool
}

func (f function) NeedsContext() bool { return f.context }

func (f function) Call(c *dispatch.Call) error {
	for skip := c.Skip; c.Done < c.N; {
		b := c.In.Rest()
		x, n := binary.Uvarint(b)
		c.In.Reset(b[n:], nil)
		if skip > 0 {
			skip--
			continue
		}
		y, err := f.call(c.Context, x)
		if err != nil {
			return err
		}
		c.Out.Stream = binary.AppendUvarint(c.Out.Stream, y)
		if c.Done++; c.Done < c.N && !c.Over() {
			return context.Canceled
		}
	}
	return nil
}

// sink records what becomes of a job's units.
type sink struct {
	mu        sync.Mutex
	got       map[int][]uint64
	errs      map[int]error
	claims    map[int]int
	cancelled atomic.Bool
	left      int
	done      chan struct{}
}

func newSink(units int) *sink {
	return &sink{got: map[int][]uint64{}, errs: map[int]error{}, claims: map[int]int{}, left: units, done: make(chan struct{})}
}

func (s *sink) Claim(first, n int) bool {
	if s.cancelled.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.claims[first+i]++
	}
	return true
}

func (s *sink) Unclaim(first, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.claims[first+i]--
	}
}

func (s *sink) finish(n int) {
	if s.left -= n; s.left == 0 {
		close(s.done)
	}
	if s.left < 0 {
		panic("a unit was reported twice")
	}
}

func values(data []byte) (all []uint64) {
	for len(data) > 0 {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return all // damaged
		}
		all, data = append(all, v), data[n:]
	}
	return all
}

func (s *sink) Results(first, n int, data []byte, _ [][]byte, _ *dispatch.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		length, _, size := dispatch.ResultHeader(data)
		s.got[first+i] = values(data[size : size+length])
		data = data[size+length:]
	}
	s.finish(n)
	return false
}

func (s *sink) Part(unit int, p dispatch.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[unit] = append(s.got[unit], values(p.Data)...)
	if p.Failed > 0 && s.errs[unit] == nil {
		s.errs[unit] = p.Err
	}
	if p.Last {
		s.finish(1)
	}
}

func (s *sink) Drop(first, n int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.errs[first+i] = why
	}
	s.finish(n)
}

func (s *sink) wait(t *testing.T) {
	t.Helper()
	await(t, s.done, "the job's end")
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(limit):
		t.Fatalf("no %s within %v", what, limit)
	}
}

// pool is a master over a loopback group.
type pool struct {
	*dispatch.Master
	group *loopback.Group
	bytes atomic.Uint64 // that have moved, as the group tells
	t     *testing.T
	funcs []function
	stop  sync.Once
}

func newPool(t *testing.T, slots int, change func(*dispatch.Config, *dispatch.Service), funcs ...func(context.Context, uint64) (uint64, error)) *pool {
	return newPoolOf(t, slots, func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(ep, svc) }, change, funcs...)
}

// newPoolOf is newPool with workers that do something else.
func newPoolOf(t *testing.T, slots int, serve func(link.Endpoint, dispatch.Service), change func(*dispatch.Config, *dispatch.Service),
	funcs ...func(context.Context, uint64) (uint64, error)) *pool {
	p := &pool{t: t}
	for _, f := range funcs {
		p.funcs = append(p.funcs, function{f, true})
	}
	svc := dispatch.Service{
		Hello:       dispatch.Hello{Pid: os.Getpid(), Host: "here", Procs: 1},
		Function:    p.function,
		Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
		Recovered:   func(v any, _ []byte) error { return fmt.Errorf("recovered: %v", v) },
	}
	cfg := dispatch.Config{
		Name:             func(fn uint32) string { return fmt.Sprintf("f%d", fn) },
		DecodeError:      func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	}
	if change != nil {
		change(&cfg, &svc)
	}
	p.group = loopback.New(loopback.Config{Slots: slots, Serve: func(ep link.Endpoint) { serve(ep, svc) }})
	cfg.Group = moving{p.group, p}
	p.Master = dispatch.New(cfg)
	t.Cleanup(p.close)
	return p
}

// moving is a pool's group, which tells of frames on their way.
type moving struct {
	*loopback.Group
	p *pool
}

func (m moving) Moved(int) uint64 { return m.p.bytes.Load() }

func (p *pool) function(fn uint32) dispatch.Body {
	if int(fn) >= len(p.funcs) {
		return nil
	}
	return p.funcs[fn]
}

func (p *pool) close() {
	p.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if running, err := p.Shutdown(ctx, true, true); err != nil {
			p.t.Errorf("shutdown: %v, still running: %v", err, running)
		}
	})
}

// job makes a job with one unit per argument.
func job(fn uint32, args ...uint64) (*dispatch.Job, *sink) {
	s := newSink(len(args))
	j := &dispatch.Job{Func: fn, Units: len(args), Sink: s}
	for _, x := range args {
		b := binary.AppendUvarint(nil, x)
		j.Data = append(binary.AppendUvarint(j.Data, uint64(len(b))), b...)
	}
	return j, s
}

// submit queues one call.
func (p *pool) submit(fn uint32, x uint64) *sink {
	p.t.Helper()
	j, s := job(fn, x)
	if err := p.Submit(j); err != nil {
		p.t.Fatal(err)
	}
	return s
}

func double(_ context.Context, x uint64) (uint64, error) { return 2 * x, nil }
