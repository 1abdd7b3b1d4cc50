package dispatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// Whoever looks at many workers leaves the scheduler to others in between, and may take its time.
func TestALookAtManyWorkersLeavesTheSchedulerToOthers(t *testing.T) {
	const workers = 300
	begun, free := make(chan struct{}, workers), make(chan struct{})
	p := newPool(t, workers, nil, func(_ context.Context, x uint64) (uint64, error) {
		begun <- struct{}{}
		<-free
		return x, nil
	})
	j, results := job(0, make([]uint64, workers)...)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	for range workers {
		select {
		case <-begun:
		case <-time.After(limit):
			t.Fatal("not all have begun")
		}
	}
	next, elements := 0, map[int]bool{}
	now := p.Look(func(w *dispatch.WorkerNow) {
		if state, err := p.State(); state != dispatch.Serving || err != nil { // it needs the lock
			t.Error(state, err)
		}
		if w.Worker != next || w.Phase != "busy" || !w.Begun || w.Elements != 1 || w.Sink != dispatch.Sink(results) || w.Hello.Host != "here" {
			t.Errorf("%+v", *w)
		}
		elements[w.First] = true
		next++
	})
	if next != workers || len(elements) != workers || now.Stats.Running != workers || now.State != dispatch.Serving {
		t.Errorf("%d workers, %d elements, %+v", next, len(elements), now)
	}
	close(free)
	results.wait(t)
}
