package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
)

func TestEveryTaskIsAnsweredOnceAndCorrectly(t *testing.T) {
	p := newPool(t, 3, nil, double)
	const n = 5000
	sinks := make([]*sink, n)
	for i := range sinks {
		sinks[i] = p.submit(0, uint64(i))
	}
	for i, s := range sinks {
		s.wait(t)
		if diff := cmp.Diff([]uint64{uint64(2 * i)}, s.got[0]); diff != "" {
			t.Fatal(diff)
		}
	}
	if s := p.Stats(); s.Submitted != n || s.Done != n || s.Running != 0 || s.Queued != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestOneJobOfManyUnitsAndOfChunks(t *testing.T) {
	p := newPool(t, 2, nil, double)
	args := make([]uint64, 10007)
	for i := range args {
		args[i] = uint64(i * i)
	}
	j, s := job(0, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	for i, x := range args {
		if len(s.got[i]) != 1 || s.got[i][0] != 2*x {
			t.Fatalf("unit %d: %v", i, s.got[i])
		}
	}
	const chunk = 100
	units := (len(args) + chunk - 1) / chunk
	s = newSink(units)
	j = &dispatch.Job{Units: units, Sink: s, More: &dispatch.More{Chunk: chunk, Elements: len(args)}}
	for i := range units {
		var b []byte
		for _, x := range args[i*chunk : min(len(args), (i+1)*chunk)] {
			b = binary.AppendUvarint(b, x)
		}
		j.Data = append(binary.AppendUvarint(j.Data, uint64(len(b))), b...)
	}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	for i, x := range args {
		if got := s.got[i/chunk]; got[i%chunk] != 2*x {
			t.Fatalf("element %d: %v", i, got[i%chunk])
		}
	}
}

func TestTheFirstTasksLandOneOnEachWorkerInOrder(t *testing.T) {
	const n = 4
	var barrier sync.WaitGroup
	barrier.Add(n)
	p := newPool(t, n, nil, func(context.Context, uint64) (uint64, error) {
		barrier.Done()
		barrier.Wait()
		return 0, nil
	})
	var sinks []*sink
	for i := range n {
		sinks = append(sinks, p.submit(0, uint64(i)))
	}
	for _, s := range sinks {
		s.wait(t)
	}
	for _, w := range p.Stats().Workers {
		if w.Tasks != 1 {
			t.Errorf("worker %d ran %d tasks", w.Worker, w.Tasks)
		}
	}
}

// A function that was tiny for a thousand calls waits in one of them for another call that was batched behind it.
func TestALongTaskGivesTheRestOfItsBatchBack(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	const last = 3000
	p := newPool(t, 2, nil, func(_ context.Context, x uint64) (uint64, error) {
		switch x {
		case 2000:
			<-release
		case last:
			once.Do(func() { close(release) })
		}
		return x, nil
	})
	args := make([]uint64, last+1)
	for i := range args {
		args[i] = uint64(i)
	}
	j, s := job(0, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	for i, n := range s.claims {
		if n != 1 {
			t.Fatalf("unit %d is claimed %d times at the end", i, n)
		}
	}
}

func TestBarrierBetweenTasksOfATinyFunctionDoesNotDeadlock(t *testing.T) {
	const n = 3
	var mu sync.Mutex
	arrived, gate := 0, make(chan struct{})
	p := newPool(t, n, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x == 0 {
			return 0, nil
		}
		mu.Lock()
		c := gate
		if arrived++; arrived == n {
			arrived, gate = 0, make(chan struct{})
			close(c)
		}
		mu.Unlock()
		<-c
		return x, nil
	})
	for range 3 { // proves the function tiny
		j, s := job(0, make([]uint64, 1000)...)
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
	}
	var args []uint64
	for x := range uint64(10) {
		args = append(args, x+1, x+1, x+1)
	}
	j, s := job(0, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
}

func TestPanicGoexitAndErrorFailTheirTaskOnly(t *testing.T) {
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		switch x % 7 {
		case 1:
			panic("boom")
		case 2:
			runtime.Goexit()
		case 3:
			return 0, errors.New("plain")
		}
		return x, nil
	})
	args := make([]uint64, 700)
	for i := range args {
		args[i] = uint64(i)
	}
	j, s := job(0, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	want := map[uint64]string{1: "recovered: boom", 2: "recovered: runtime.Goexit was called", 3: "plain"}
	for i := range args {
		if w := want[uint64(i%7)]; w != "" {
			if s.errs[i] == nil || s.errs[i].Error() != w {
				t.Fatalf("unit %d: error %v, want %q", i, s.errs[i], w)
			}
		} else if s.errs[i] != nil || s.got[i][0] != uint64(i) {
			t.Fatalf("unit %d: %v, %v", i, s.got[i], s.errs[i])
		}
	}
	if st := p.Stats(); st.Failed != 300 || st.Done != 400 || st.Lost != 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestCancelledTaskNeverRuns(t *testing.T) {
	hold := make(chan struct{})
	var ran atomic.Int64
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x == 0 {
			<-hold
		} else {
			ran.Add(1)
		}
		return x, nil
	})
	first := p.submit(0, 0)
	j, s := job(0, 1)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	after := p.submit(0, 2)
	s.cancelled.Store(true)
	p.Cancelled(j)
	close(hold)
	first.wait(t)
	after.wait(t)
	if n := ran.Load(); n != 1 {
		t.Errorf("%d tasks ran after a cancel, want 1", n)
	}
}

func TestWithdrawnJobStopsAndItsRunningUnitsSeeTheirContextEnd(t *testing.T) {
	started := make(chan struct{}, 10)
	ended := make(chan struct{}, 10)
	p := newPool(t, 2, nil, func(ctx context.Context, x uint64) (uint64, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return 0, ctx.Err()
	})
	j, _ := job(0, make([]uint64, 10)...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	<-started
	<-started
	if n := p.Withdraw(j); n != 8 {
		t.Errorf("%d units taken back, want 8", n)
	}
	for range 2 {
		select {
		case <-ended:
		case <-time.After(limit):
			t.Fatal("a running unit's context did not end")
		}
	}
}

func TestShutdownRunsWhatIsQueuedAndRefusesMore(t *testing.T) {
	p := newPool(t, 2, nil, double)
	j, s := job(0, make([]uint64, 1000)...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Shutdown(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	j, _ = job(0, 1)
	if err := p.Submit(j); !errors.Is(err, dispatch.ErrStopping) {
		t.Errorf("submit after shutdown: %v", err)
	}
	if p.Size() != 0 {
		t.Errorf("size %d after shutdown", p.Size())
	}
}

func TestShutdownWithCancelSparesWhatRuns(t *testing.T) {
	hold := make(chan struct{})
	running := make(chan struct{}, 1)
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		running <- struct{}{}
		<-hold
		return 1, nil
	})
	first := p.submit(0, 0)
	second := p.submit(0, 0)
	<-running
	if _, err := p.Shutdown(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
	second.wait(t)
	if !errors.Is(second.errs[0], dispatch.ErrDropped) {
		t.Errorf("second: %v", second.errs[0])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tasks, err := p.Shutdown(ctx, true, false)
	if !errors.Is(err, context.Canceled) || len(tasks) != 1 || tasks[0].Func != "f0" {
		t.Errorf("cut short: %v, %v", tasks, err)
	}
	close(hold)
	first.wait(t)
	if first.got[0][0] != 1 {
		t.Errorf("first: %v %v", first.got, first.errs)
	}
}

func TestLostWorkerFailsExactlyTheTaskItRanAndIsReplaced(t *testing.T) {
	reached := make(chan struct{})
	var once sync.Once
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	const bad, n = 1234, 4000
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x == bad {
			once.Do(func() { close(reached) })
			<-never
		}
		return x, nil
	})
	args := make([]uint64, n)
	for i := range args {
		args[i] = uint64(i)
	}
	j, s := job(0, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	await(t, reached, "bad task")
	p.group.Lose(0, true, errors.New("killed for the test"))
	s.wait(t)
	for i := range args {
		if i == bad {
			if !errors.Is(s.errs[i], dispatch.ErrBroken) || !strings.Contains(s.errs[i].Error(), "killed for the test") {
				t.Errorf("lost task: %v", s.errs[i])
			}
		} else if s.errs[i] != nil || s.got[i][0] != uint64(i) {
			t.Fatalf("unit %d: %v, %v", i, s.got[i], s.errs[i])
		}
	}
	if st := p.Stats(); st.Lost != 1 || st.Restarts != 1 || st.Failed != 1 || st.Done != n-1 || p.Size() != 1 {
		t.Errorf("size %d, stats %+v", p.Size(), st)
	}
}

func TestWithoutProofEverythingHandedOverFails(t *testing.T) {
	reached, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x == 1 {
			close(reached)
			<-never
		}
		return x, nil
	})
	s := p.submit(0, 1)
	await(t, reached, "task")
	p.group.Lose(0, false, errors.New("gone"))
	s.wait(t)
	if !errors.Is(s.errs[0], dispatch.ErrBroken) {
		t.Error(s.errs[0])
	}
	again := p.submit(0, 2)
	again.wait(t)
}

func TestRetriesRunALostTaskAgain(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	var tries atomic.Int64
	reached := make(chan struct{}, 3)
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		if tries.Add(1) < 3 {
			reached <- struct{}{}
			<-never
		}
		return 7, nil
	})
	j, s := job(0, 1)
	j.More = &dispatch.More{Retries: 2}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-reached
		p.group.Lose(0, true, errors.New("gone"))
	}
	s.wait(t)
	if s.errs[0] != nil || s.got[0][0] != 7 {
		t.Error(s.errs[0], s.got[0])
	}
}

func TestFailingSetupBreaksThePool(t *testing.T) {
	p := newPool(t, 2, func(_ *dispatch.Config, svc *dispatch.Service) {
		svc.Setup = func(context.Context, []byte, [][]byte) (int, context.Context, error) {
			return 0, nil, errors.New("no licence")
		}
	}, double)
	s := p.submit(0, 1)
	s.wait(t)
	if !errors.Is(s.errs[0], dispatch.ErrBroken) || !strings.Contains(s.errs[0].Error(), "no licence") {
		t.Error(s.errs[0])
	}
	j, _ := job(0, 1)
	if err := p.Submit(j); !errors.Is(err, dispatch.ErrBroken) {
		t.Error(err)
	}
	await(t, p.Closed(), "end of the workers")
}

func TestSetupThatPanicsOrExitsOrHangsEnds(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for name, setup := range map[string]func(){
		"panics": func() { panic("boom") },
		"exits":  runtime.Goexit,
		"hangs":  func() { <-never },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, 1, func(c *dispatch.Config, svc *dispatch.Service) {
				c.Start = 100 * time.Millisecond
				svc.Setup = func(context.Context, []byte, [][]byte) (int, context.Context, error) {
					setup()
					return 0, nil, nil
				}
			}, double)
			s := p.submit(0, 1)
			s.wait(t)
			if !errors.Is(s.errs[0], dispatch.ErrBroken) {
				t.Error(s.errs[0])
			}
			await(t, p.Closed(), "end of the workers")
		})
	}
}

func TestSilentWorkerIsLostAndBusyOneIsNot(t *testing.T) { synctest.Test(t, testSilent) }

func testSilent(t *testing.T) {
	hold, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	p := newPool(t, 1, func(c *dispatch.Config, _ *dispatch.Service) { c.Liveness = 200 * time.Millisecond },
		func(context.Context, uint64) (uint64, error) { <-hold; return 5, nil })
	busy := p.submit(0, 1)
	time.Sleep(time.Minute)
	select {
	case <-busy.done:
		t.Fatalf("a busy worker was taken for a silent one: %v", busy.errs)
	default:
	}
	close(hold)
	busy.wait(t)
	synctest.Wait() // the worker receives: it would take in the next task if it came to that behind the hold
	p.group.HoldRecv(0, never)
	silent := p.submit(0, 1)
	silent.wait(t)
	if err := silent.errs[0]; !errors.Is(err, dispatch.ErrBroken) || !strings.Contains(err.Error(), "silent for") {
		t.Error(err)
	}
}

func TestCutFrameFromAWorkerCostsOnlyThatWorker(t *testing.T) {
	p := newPool(t, 1, nil, double)
	p.submit(0, 1).wait(t)
	p.group.Cut(0, 1, 3)
	j, s := job(0, 1<<40)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if !errors.Is(s.errs[0], dispatch.ErrBroken) {
		t.Errorf("result of a cut frame: %v, %v", s.got, s.errs)
	}
	p.submit(0, 4).wait(t)
}

// A task that sees the end of its time has a grace in which it must end, which a busy machine may keep it from.
func TestOverdueTaskIsEnded(t *testing.T) { synctest.Test(t, testOverdue) }

func testOverdue(t *testing.T) {
	never := make(chan struct{})
	p := newPool(t, 1, nil, func(ctx context.Context, x uint64) (uint64, error) {
		if x == 0 {
			<-never // ignores its context
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	j, polite := job(0, 1)
	j.More = &dispatch.More{Timeout: 20 * time.Millisecond}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	polite.wait(t)
	if err := polite.errs[0]; err == nil || err.Error() != context.DeadlineExceeded.Error() {
		t.Error(err)
	}
	j, stubborn := job(0, 0)
	j.More = &dispatch.More{Timeout: 20 * time.Millisecond}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	stubborn.wait(t)
	if over := new(dispatch.OverdueError); !errors.As(stubborn.errs[0], &over) {
		t.Error(stubborn.errs[0])
	}
	close(never)
}

func TestManySubmittersAndManyWorkers(t *testing.T) {
	p := newPool(t, 8, nil, double, func(_ context.Context, x uint64) (uint64, error) {
		time.Sleep(time.Duration(x%5) * time.Millisecond)
		return x, nil
	})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 100 {
				s := p.submit(uint32((g+i)%2), uint64(i))
				if i%10 == 0 {
					s.wait(t)
				}
			}
		})
	}
	wg.Wait()
	if _, err := p.Shutdown(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	if st := p.Stats(); st.Done != 1600 {
		t.Errorf("stats %+v", st)
	}
}

// Each barrier is for certain tasks, so tasks that are batched behind one another would wait without end. They say so.
func TestTasksThatWaitForEachOtherAreNotBatched(t *testing.T) {
	const n = 3
	var mu sync.Mutex
	arrived := map[uint64]int{}
	open := map[uint64]chan struct{}{}
	p := newPool(t, n, nil, double, func(ctx context.Context, x uint64) (uint64, error) {
		dispatch.Alone(ctx)
		mu.Lock()
		c := open[x]
		if c == nil {
			c = make(chan struct{})
			open[x] = c
		}
		if arrived[x]++; arrived[x] == n {
			close(c)
		}
		mu.Unlock()
		<-c
		return x, nil
	})
	var args []uint64
	for x := range uint64(100) {
		args = append(args, x, x, x)
	}
	j, s := job(1, args...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
}

// A goroutine cannot be ended, so a task that ignores the end of its time keeps it; but nobody waits for that task.
func TestAGivenUpTaskDoesNotHoldTheShutdown(t *testing.T) {
	never := make(chan struct{})
	p := newPool(t, 1, func(c *dispatch.Config, _ *dispatch.Service) { c.Stop = 50 * time.Millisecond },
		func(context.Context, uint64) (uint64, error) { <-never; return 0, nil })
	j, s := job(0, 1)
	j.More = &dispatch.More{Timeout: time.Millisecond}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if running, err := p.Shutdown(ctx, true, false); err != nil {
		t.Errorf("%v still run: %v", running, err)
	}
	close(never)
}
