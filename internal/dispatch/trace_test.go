package dispatch_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

// Whatever becomes of a job, nothing is kept of it, and not the room that many at once have needed.
func TestARecordingKeepsNoJobsThatAreOver(t *testing.T) {
	rec, err := trace.Open(trace.Config{Path: filepath.Join(t.TempDir(), "recording"), Warn: func(text string, err error) { t.Error(text, err) }})
	if err != nil {
		t.Fatal(err)
	}
	gate, begun := make(chan struct{}), make(chan struct{})
	p := newPool(t, 1, func(c *dispatch.Config, _ *dispatch.Service) { c.Trace = rec },
		func(ctx context.Context, x uint64) (uint64, error) {
			if x == 0 {
				close(begun)
				<-gate
			}
			if x%7 == 3 {
				return 0, errors.New("three")
			}
			return x, ctx.Err()
		})
	first := p.submit(0, 0)
	await(t, begun, "the first call")
	sinks := []*sink{first}
	for i := range uint64(6000) {
		j, s := job(0, i+1)
		if i%5 == 4 {
			j, s = job(0, i+1, i+2, i+3)
		}
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		switch {
		case i%5 == 4 && i%3 == 0:
			p.Withdraw(j)
		case i%5 < 4 && i%3 == 0:
			s.cancelled.Store(true)
			p.Cancelled(j)
		default:
			sinks = append(sinks, s)
		}
	}
	if _, most := p.TracedJobs(); most < 4000 {
		t.Fatalf("%d jobs were noted", most)
	}
	close(gate)
	for _, s := range sinks {
		s.wait(t)
	}
	now, most := p.TracedJobs()
	testkit.Until(t, "no job that is kept", func() bool { now, most = p.TracedJobs(); return now == 0 })
	if most > 4096 {
		t.Errorf("the room of %d jobs is kept", most)
	}
	p.close()
	if err := rec.Close(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
