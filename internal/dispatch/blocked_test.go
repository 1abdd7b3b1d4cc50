package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// expected notes a job without arguments.
func (p *pool) expected(fn uint32) (*dispatch.Job, *sink) {
	p.t.Helper()
	s := newSink(1)
	j := &dispatch.Job{Func: fn, Units: 1, Sink: s}
	if err := p.Expect(j); err != nil {
		p.t.Fatal(err)
	}
	return j, s
}

// supply gives a job its argument.
func (p *pool) supply(j *dispatch.Job, x uint64) {
	p.Supply(j, dispatch.AppendUnit(nil, binary.AppendUvarint(nil, x), nil, false), nil)
}

func TestABlockedJobRunsWhenItIsSuppliedAlsoWhileThePoolStops(t *testing.T) {
	p := newPool(t, 1, nil, double)
	j, s := p.expected(0)
	if st := p.Stats(); st.Blocked != 1 || st.Queued != 0 || st.Submitted != 1 {
		t.Errorf("%+v", st)
	}
	if _, err := p.Shutdown(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	late := &dispatch.Job{Units: 1, Sink: newSink(1)}
	if err := p.Expect(late); !errors.Is(err, dispatch.ErrStopping) {
		t.Error(err)
	}
	p.supply(j, 21)
	s.wait(t)
	if got := s.got[0]; len(got) != 1 || got[0] != 42 {
		t.Error(got)
	}
	p.supply(j, 1) // a second time does nothing
	if _, err := p.Shutdown(t.Context(), true, false); err != nil {
		t.Error(err)
	}
	if st := p.Stats(); st.Blocked != 0 || st.Done != 1 || st.Submitted != 1 {
		t.Errorf("%+v", st)
	}
}

func TestABlockedJobThatIsForgoneIsToldBeforeTheShutdownIsOver(t *testing.T) {
	for why, want := range map[dispatch.Forgone]dispatch.Stats{
		dispatch.Unsupplied: {Submitted: 1, Failed: 1}, dispatch.Withheld: {Submitted: 1, Cancelled: 1}, dispatch.Known: {},
	} {
		p := newPool(t, 1, nil, double)
		j, _ := p.expected(0)
		if _, err := p.Shutdown(t.Context(), false, false); err != nil {
			t.Fatal(err)
		}
		telling, tell := make(chan struct{}), make(chan struct{})
		go p.Forgo(j, why, func() { close(telling); <-tell })
		await(t, telling, "word of what is forgone")
		select {
		case <-p.Closed():
			t.Error("the shutdown was over before")
		default:
		}
		p.Forgo(j, why, func() { t.Error("it is told twice") })
		p.supply(j, 1)
		close(tell)
		await(t, p.Closed(), "end of the shutdown")
		s := p.Stats()
		if s.Submitted != want.Submitted || s.Failed != want.Failed || s.Cancelled != want.Cancelled || s.Blocked != 0 || s.Queued != 0 {
			t.Errorf("%d: %+v, want %+v", why, s, want)
		}
	}
}

func TestAShutdownThatCancelsDropsBlockedJobs(t *testing.T) {
	p := newPool(t, 1, nil, double)
	j, s := p.expected(0)
	cancelled, other := p.expected(0)
	other.cancelled.Store(true)
	p.Cancelled(cancelled)
	if _, err := p.Shutdown(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(s.errs[0], dispatch.ErrDropped) {
		t.Error(s.errs[0])
	}
	p.supply(j, 1)
	if st := p.Stats(); st.Blocked != 0 || st.Cancelled != 2 || len(other.errs) > 0 {
		t.Errorf("%+v, %v", st, other.errs)
	}
}

func TestAShutdownWaitsForABlockedJobUntilItIsCancelled(t *testing.T) {
	p := newPool(t, 1, nil, double)
	j, _ := p.expected(0)
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Shutdown(short, true, false); err == nil {
		t.Error("a shutdown does not wait for a blocked job")
	}
	p.Cancelled(j)
	await(t, p.Closed(), "end of the shutdown")
}
