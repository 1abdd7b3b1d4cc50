package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

func TestEveryVerbIsRefusedAfterTheEnd(t *testing.T) {
	endings := map[string]func(*testing.T, *pool.Pool){
		"Close":               func(_ *testing.T, p *pool.Pool) { p.Close() },
		"Terminate":           func(_ *testing.T, p *pool.Pool) { p.Terminate() },
		"Join":                join,
		"Close, twice":        func(_ *testing.T, p *pool.Pool) { p.Close(); p.Close() },
		"Terminate, twice":    func(_ *testing.T, p *pool.Pool) { p.Terminate(); p.Terminate() },
		"Join, twice":         func(t *testing.T, p *pool.Pool) { join(t, p); join(t, p) },
		"Terminate and Close": func(_ *testing.T, p *pool.Pool) { p.Terminate(); p.Close() },
	}
	for name, end := range endings {
		for _, used := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				each(t, func(t *testing.T, b backend) {
					p := b.start(t)
					if used {
						if _, err := pool.Apply(within(t), p, work, job{}); err != nil {
							t.Fatal(err)
						}
					}
					end(t, p)
					refused(t, p)
				})
			})
		}
	}
}

// refused expects that a pool takes no calls, empty ones included.
func refused(t *testing.T, p *pool.Pool) {
	t.Helper()
	for _, f := range forms {
		for _, xs := range [][]job{nil, jobs(3)} {
			if _, err := f.run(within(t), p, work, xs); !errors.Is(err, futures.ErrShutdown) {
				t.Errorf("%s of %d: %v, want ErrShutdown", f.name, len(xs), err)
			}
		}
	}
	if _, err := pool.Apply(within(t), p, work, job{}); !errors.Is(err, futures.ErrShutdown) {
		t.Errorf("Apply: %v, want ErrShutdown", err)
	}
	if _, err := pool.ApplyAsync(p, work, job{}); !errors.Is(err, futures.ErrShutdown) {
		t.Errorf("ApplyAsync: %v, want ErrShutdown", err)
	}
}

func TestCloseDoesNotWaitAndWhatIsQueuedRuns(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		g := newGate(t)
		var rs []*pool.ApplyResult[int]
		for _, j := range waiting(5, "", g) {
			r, err := pool.ApplyAsync(p, work, j)
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, r)
		}
		m, err := pool.MapAsync(within(t), p, work, waiting(5, "", g), pool.WithChunkSize(1))
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		p.Close()
		for i, r := range rs {
			if r.Ready() {
				t.Errorf("task %d is ready, so Close waited", i)
			}
		}
		g.open()
		join(t, p)
		for i, r := range rs {
			if y, err := r.GetWithin(0); y != i*i || err != nil {
				t.Errorf("task %d: %v, %v", i, y, err)
			}
		}
		if ys, err := m.GetWithin(0); len(ys) != 5 || err != nil {
			t.Errorf("the map: %v, %v", ys, err)
		}
	})
}

func TestAnImapUnderWayIsReadToItsEndAfterClose(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		n := 0
		for y, err := range pool.Imap(within(t), p, work, jobs(50)) {
			if err != nil || y != n*n {
				t.Fatal(n, y, err)
			}
			if n++; n == 10 {
				p.Close()
			}
		}
		if n != 50 {
			t.Errorf("%d results, want 50", n)
		}
	})
}

func TestJoinIsBoundedByItsContext(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		m, g := newMarks(t), newGate(t)
		r, err := pool.ApplyAsync(p, work, job{X: 3, Marks: m, Gate: g})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task begins", func() bool { return m.count(t) == 1 })
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		err = p.Join(ctx)
		shutdown := new(futures.ShutdownError)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &shutdown) || len(shutdown.Running) != 1 {
			t.Errorf("%v, want a ShutdownError with the one task", err)
		}
		g.open()
		join(t, p)
		if y, err := r.GetWithin(0); y != 9 || err != nil {
			t.Error(y, err)
		}
	})
}

func TestJoinAndTerminateRepeatInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, order := range []string{"j", "jj", "jt", "tj", "ttjj", "cjtjct", "tcj"} {
			p := b.start(t)
			r, err := pool.ApplyAsync(p, work, job{X: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range order {
				switch step {
				case 'c':
					p.Close()
				case 't':
					p.Terminate()
				default:
					join(t, p)
				}
			}
			if y, err := r.Get(within(t)); (y != 4 || err != nil) && (order[0] != 't' || err == nil) {
				t.Errorf("%s: %v, %v", order, y, err)
			}
		}
	})
}

func TestTerminateDoesNotWaitAndCancelsWhatIsQueued(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		m, g := newMarks(t), newGate(t) // the gate stays shut: contexts end the tasks
		var rs []*pool.ApplyResult[int]
		for _, j := range waiting(100, m, g) {
			r, err := pool.ApplyAsync(p, work, j)
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, r)
		}
		eventually(t, "the workers are busy", func() bool { return m.count(t) == workers })
		p.Terminate()
		join(t, p)
		if n := m.count(t); n != workers {
			t.Errorf("%d tasks began, want only the first %d", n, workers)
		}
		for i, r := range rs {
			_, err := r.GetWithin(0)
			if i < workers && !errors.Is(err, context.Canceled) {
				t.Errorf("task %d ran: %v, want the end of its context", i, err)
			} else if i >= workers && !errors.Is(err, futures.ErrCancelled) {
				t.Errorf("task %d was queued: %v, want ErrCancelled", i, err)
			}
		}
	})
}

// Every waiting goroutine is released, whatever it waits in, and each is told once.
func TestTerminateReleasesEveryWaitingGoroutine(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		m, g := newMarks(t), newGate(t)
		block, err := pool.MapAsync(within(t), p, work, waiting(workers, m, g), pool.WithChunkSize(1))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the workers are busy", func() bool { return m.count(t) == workers })

		var wg sync.WaitGroup
		var mu sync.Mutex
		released := map[string]error{}
		note := func(who string, err error) {
			mu.Lock()
			defer mu.Unlock()
			released[who] = errors.Join(released[who], err)
		}
		results := make(chan *pool.ApplyResult[int], 1)
		wg.Go(func() {
			r, err := pool.ApplyAsync(p, work, job{X: 1, Marks: m})
			if err != nil {
				t.Error(err)
				close(results)
				return
			}
			r.Callback(func(int) { t.Error("the callback of a cancelled task was called") })
			r.ErrorCallback(func(err error) { note("ErrorCallback", err) })
			results <- r
			_, err = r.Get(within(t))
			note("Get", err)
		})
		queued, ok := <-results
		if !ok {
			t.FailNow()
		}
		calls := map[string]int{}
		mr, err := pool.MapAsync(within(t), p, work, waiting(10, m, g), pool.WithChunkSize(3))
		if err != nil {
			t.Fatal(err)
		}
		mr.ErrorCallback(func(err error) { calls["map"]++; note("the map's ErrorCallback", err) })
		block.ErrorCallback(func(error) { calls["block"]++ })
		for _, f := range forms {
			if f.name == "MapAsync" || f.name == "StarmapAsync" {
				continue
			}
			wg.Go(func() {
				_, err := f.run(within(t), p, work, waiting(10, m, g), pool.WithChunkSize(1))
				note(f.name, err)
			})
		}
		wg.Go(func() {
			for _, err := range pool.Imap(within(t), p, work, naturals(new(atomic.Int64))) {
				if err != nil {
					note("Imap of a sequence", err)
				}
			}
		})
		wg.Go(func() {
			_, err := pool.Apply(within(t), p, work, job{Marks: m})
			note("Apply", err)
		})
		eventually(t, "all are queued", func() bool { return p.Executor().Stats().Queued >= 1+4+6*10+1+8 })
		p.Terminate()
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		await(t, "everybody is released", done)
		join(t, p)
		mu.Lock()
		defer mu.Unlock()
		for who, err := range released {
			if !errors.Is(err, futures.ErrCancelled) && !errors.Is(err, futures.ErrShutdown) {
				t.Errorf("%s: %v, want ErrCancelled", who, err)
			}
		}
		if len(released) != 3+6+1+1 || calls["map"] != 1 || calls["block"] != 1 {
			t.Errorf("released: %d (%v); error callbacks: %v", len(released), released, calls)
		}
		if ok, err := queued.Successful(); ok || err != nil {
			t.Error("the queued task:", ok, err)
		}
		if n := m.count(t); n != workers {
			t.Errorf("%d tasks began, want %d", n, workers)
		}
	})
}

// A unit that came back from its worker is not handed out again once everything is cancelled.
func TestTerminateAmongTinyTasksLeavesNoneRunning(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for range 5 {
			p := b.start(t)
			g := newGate(t)
			if _, err := pool.Map(within(t), p, work, jobs(2000), pool.WithChunkSize(1)); err != nil { // proven tiny
				t.Fatal(err)
			}
			in := jobs(4000)
			for i := 100; i < len(in); i += 50 {
				in[i].Gate = g // stays shut
			}
			r, err := pool.MapAsync(within(t), p, work, in, pool.WithChunkSize(1))
			if err != nil {
				t.Fatal(err)
			}
			p.Terminate()
			join(t, p)
			if _, err := r.GetWithin(0); err == nil {
				t.Error("everything ran")
			}
		}
	})
}

func TestTheGoroutinesOfAPoolMayCloseItTogether(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p := b.start(t)
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				switch i % 5 {
				case 0:
					p.Close()
				case 1:
					p.Terminate()
				case 2:
					join(t, p)
				default:
					r, err := pool.MapAsync(within(t), p, work, jobs(10))
					if err == nil {
						_, err = r.Get(within(t))
					}
					if err != nil && !errors.Is(err, futures.ErrShutdown) && !errors.Is(err, futures.ErrCancelled) &&
						!errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}
