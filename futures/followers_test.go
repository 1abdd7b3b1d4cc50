package futures_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// A call is cancelled while the future that it waits for is completed, which has other followers and a callback too.
func TestACallIsCancelledWhileItsInputCompletes(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	for range 2000 {
		p := futures.NewPromise[int]()
		var calls [3]*futures.Future[int]
		for i := range calls {
			if calls[i], err = futures.SubmitAfter(ex, countOrHeap, p.Future()); err != nil {
				t.Fatal(err)
			}
		}
		p.Future().AddDoneCallback(func(*futures.Future[int]) {})
		var both sync.WaitGroup
		both.Go(func() {
			for _, f := range calls {
				f.Cancel()
			}
		})
		both.Go(func() {
			if err := p.SetResult(1); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		for _, f := range calls {
			if v, err := f.ResultWithin(testkit.Limit); err == nil && v != 2 || err != nil && !f.Cancelled() {
				t.Fatal(v, err)
			}
		}
	}
	testkit.Until(t, "each call is counted once", func() bool {
		s := ex.Stats()
		return s.Submitted == s.Done+s.Failed+s.Cancelled
	})
}

func TestAFutureThatIsKeptDoesNotKeepWhatHasFollowedTheSameInput(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	p := futures.NewPromise[int]()
	kept, err := futures.SubmitAfter(ex, countOrHeap, p.Future())
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	func() {
		f, err := futures.SubmitAfter(ex, countOrHeap, p.Future())
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(f, func(c chan struct{}) { close(c) }, gone)
		if err := p.SetResult(1); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ResultWithin(testkit.Limit); err != nil {
			t.Fatal(err)
		}
	}()
	if _, err := kept.ResultWithin(testkit.Limit); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the other call is gone", func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	runtime.KeepAlive(kept)
}
