package dispatch_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// poison is the argument of a task that no worker survives receiving.
const poison = 1 << 40

// fragile is the end of a worker that dies when it receives a poisonous task.
type fragile struct{ link.Endpoint }

func (f fragile) Recv() (link.Frame, error) {
	frame, err := f.Endpoint.Recv()
	if err == nil && frame.Stream[0] == 't' && bytes.Contains(frame.Stream, binary.AppendUvarint(nil, poison)) {
		f.Journal().Receiving(frame.Mark)
		return link.Frame{}, io.ErrUnexpectedEOF
	}
	return frame, err
}

func serveFragile(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(fragile{ep}, svc) }

func TestATaskThatKillsWhoReceivesItFailsAtItsThirdLossAndCostsNoOther(t *testing.T) {
	for _, slots := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			p := newPoolOf(t, slots, serveFragile, nil, double)
			var all []*sink
			for i := range uint64(100) {
				if i%25 == 3 {
					i = poison
				}
				all = append(all, p.submit(0, i))
			}
			for i, s := range all {
				s.wait(t)
				switch err := s.errs[0]; {
				case i%25 != 3 && (err != nil || s.got[0][0] != 2*uint64(i)):
					t.Errorf("%d workers, task %d: %v, %v", slots, i, s.got[0], err)
				case i%25 == 3 && (!errors.Is(err, dispatch.ErrBroken) || !strings.Contains(err.Error(), "lost while it was received")):
					t.Errorf("%d workers, poisonous task %d: %v", slots, i, err)
				}
			}
			// Once more for each frame in which it was not alone.
			if st := p.Stats(); st.Lost < 4*3 || st.Lost > 4*4 || st.Failed != 4 || st.Done != 96 {
				t.Errorf("%d workers: %+v", slots, st)
			}
		})
	}
}

// dying is the end of a worker that dies when a task has come, while it receives what comes behind that.
type dying struct {
	link.Endpoint
	left *atomic.Int64 // so many do
}

func (d dying) Recv() (link.Frame, error) {
	frame, err := d.Endpoint.Recv()
	if err == nil && frame.Stream[0] == 't' && d.left.Add(-1) >= 0 {
		d.Journal().Receiving(frame.Mark + 1)
		return link.Frame{}, io.ErrUnexpectedEOF
	}
	return frame, err
}

// A message to a task was such a frame: the task that waited at that worker failed as one that no worker survives receiving.
func TestATaskIsNotBlamedForTheLossOfAWorkerThatReceivedSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := new(atomic.Int64)
		left.Store(3) // as often as a task may be lost that is to blame
		p := newPoolOf(t, 1, func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(dying{ep, left}, svc) }, nil, double)
		s := p.submit(0, 4)
		s.wait(t)
		if s.errs[0] != nil || s.got[0][0] != 8 {
			t.Errorf("%v, %v", s.got[0], s.errs[0])
		}
		if st := p.Stats(); st.Lost != 3 || st.Done != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestATaskThatIsWithdrawnBetweenTwoLossesIsNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPoolOf(t, 1, serveFragile, nil, double)
		j, _ := job(0, poison, poison, poison)
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		time.Sleep(startPause / 2) // the first loss is over
		if n := p.Withdraw(j); n != 3 {
			t.Errorf("%d were taken back, want 3", n)
		}
		p.submit(0, 4).wait(t)
		if st := p.Stats(); st.Lost != 1 || st.Cancelled != 3 || st.Failed != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// startPause is the first pause between two starts.
const startPause = 100 * time.Millisecond

func TestWorkersThatEndBeforeTheirFirstTaskAreStartedWithPausesAndBreakThePoolInTheEnd(t *testing.T) {
	for _, slots := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			var starts atomic.Int64
			ready := make(chan struct{})
			p := newPoolOf(t, slots, func(ep link.Endpoint, svc dispatch.Service) {
				if starts.Add(1) == int64(slots) {
					close(ready)
				}
				go func() {
					<-ready // all have come up once
					time.Sleep(time.Millisecond)
					_ = ep.Close()
				}()
				_ = dispatch.Serve(ep, svc)
			}, nil, double)
			begin := time.Now()
			if err := p.Boot(); err != nil {
				t.Fatal(err)
			}
			<-p.Closed()
			if state, err := p.State(); state != dispatch.Broken || !strings.Contains(err.Error(), "4 starts in a row have failed") {
				t.Errorf("%d workers: %v, %v", slots, state, err)
			}
			if took := time.Since(begin); took < 6*time.Second || starts.Load() != int64(4*slots) {
				t.Errorf("%d workers: %d starts in %v", slots, starts.Load(), took)
			}
		})
	}
}

func TestASlotWhoseStartsFailIsTriedAgainAsLongAsOtherWorkersLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ill atomic.Bool
		var failed atomic.Int64
		p := newPoolOf(t, 2, func(ep link.Endpoint, svc dispatch.Service) {
			if ill.Load() {
				failed.Add(1)
				return
			}
			_ = dispatch.Serve(ep, svc)
		}, nil, double)
		if err := p.Boot(); err != nil {
			t.Fatal(err)
		}
		<-p.Booted()
		ill.Store(true)
		p.group.Lose(1, true, errors.New("gone"))
		time.Sleep(time.Minute)
		if n := failed.Load(); n < 10 || n > 20 {
			t.Errorf("%d starts in a minute", n)
		}
		if n := p.Size(); n != 1 {
			t.Errorf("%d workers, want 1", n)
		}
		p.submit(0, 1).wait(t)
		ill.Store(false)
		time.Sleep(10 * time.Second)
		if n := p.Size(); n != 2 {
			t.Errorf("%d workers after the trouble, want 2", n)
		}
	})
}

// deadly is a pool whose tasks end their workers, as long as their argument is above 0.
func deadly(t *testing.T, slots int, together bool) *pool {
	var p *pool
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	var running atomic.Int64
	p = newPool(t, slots, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x == 0 {
			return 0, nil
		}
		if n := running.Add(1); !together || n%int64(slots) == 0 {
			go func() {
				for slot := range slots {
					if together || slot == int(x-1)%slots {
						p.group.Lose(slot, true, errors.New("struck"))
					}
				}
			}()
		}
		<-never
		return 0, nil
	})
	return p
}

func TestRunningTasksThatAreLostOneAfterTheOtherBreakThePoolInTheEndAndSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := deadly(t, 1, false)
		j, s := job(0, many(1000, 1)...)
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
		if _, err := p.State(); err == nil || !strings.Contains(err.Error(), "lost with their tasks 30 times in a row") || !strings.Contains(err.Error(), "struck") {
			t.Errorf("the pool's error: %v", err)
		}
		if st := p.Stats(); st.Lost != 30 || st.Failed != 30 || st.Cancelled != 970 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLossesWithSomethingFinishedInBetweenNeverBreakThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := deadly(t, 1, false)
		for range 50 {
			bad, good := p.submit(0, 1), p.submit(0, 0)
			bad.wait(t)
			good.wait(t)
			if good.errs[0] != nil {
				t.Fatal(good.errs[0])
			}
		}
		if st := p.Stats(); st.Lost != 50 || st.Failed != 50 || st.Done != 50 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWorkersThatAreLostWithNothingInHandNeverBreakThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, nil, double)
		p.submit(0, 1).wait(t)
		for range 50 {
			p.group.Lose(0, true, errors.New("gone"))
			time.Sleep(time.Minute)
		}
		if _, err := p.State(); err != nil || p.Size() != 1 || p.Stats().Restarts != 50 {
			t.Errorf("%d workers, %+v, %v", p.Size(), p.Stats(), err)
		}
		p.submit(0, 1).wait(t)
	})
}

func TestTheLossOfAllWorkersAtOnceCountsAsOne(t *testing.T) {
	const slots, rounds = 16, 20
	synctest.Test(t, func(t *testing.T) {
		p := deadly(t, slots, true)
		for round := range rounds {
			var all []*sink
			for range slots {
				all = append(all, p.submit(0, 1))
			}
			for _, s := range all {
				s.wait(t)
				if !errors.Is(s.errs[0], dispatch.ErrBroken) {
					t.Fatal(s.errs[0])
				}
			}
			if _, err := p.State(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for p.Size() < slots || p.Stats().Restarts < uint64((round+1)*slots) {
				runtime.Gosched()
			}
		}
		if st := p.Stats(); st.Lost != slots*rounds {
			t.Errorf("%+v", st)
		}
	})
}

func many(n int, x uint64) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = x
	}
	return all
}
