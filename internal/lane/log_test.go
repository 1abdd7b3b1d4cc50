package lane_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/lane"
)

// hanging is a handler that does not return, from any of its methods.
type hanging struct{ until chan struct{} }

func (h hanging) Enabled(context.Context, slog.Level) bool  { <-h.until; return true }
func (h hanging) Handle(context.Context, slog.Record) error { <-h.until; return nil }
func (h hanging) WithAttrs([]slog.Attr) slog.Handler        { <-h.until; return h }
func (h hanging) WithGroup(string) slog.Handler             { <-h.until; return h }

// flush flushes l, for so long at most.
func flush(l lane.Logger, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l.Flush(ctx)
}

func TestAHandlerThatNeverReturnsStopsTheLogAndNothingElse(t *testing.T) {
	h := hanging{make(chan struct{})}
	l := lane.NewLogger(h)
	for range 10_000 { // more than are kept
		l.With("a", 1).WithGroup("g").Warn("text")
	}
	flush(l, time.Millisecond)
	close(h.until)
	flush(l, limit)
}

// recorder notes what it is given.
type recorder struct {
	mu   *sync.Mutex
	text *[]string
	pre  string

	level slog.Leveler
}

func (r recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= r.level.Level() }
func (r recorder) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.pre + rec.Message
	rec.Attrs(func(a slog.Attr) bool { s += " " + a.String(); return true })
	*r.text = append(*r.text, s)
	return nil
}
func (r recorder) WithAttrs(as []slog.Attr) slog.Handler { r.pre += as[0].String() + " "; return r }
func (r recorder) WithGroup(name string) slog.Handler    { r.pre += name + "."; return r }

func TestRecordsArriveInTheirOrderWithAttributesAndGroups(t *testing.T) {
	var text []string
	l := lane.NewLogger(recorder{mu: new(sync.Mutex), text: &text, level: slog.LevelInfo})
	l.Debug("left out")
	l.Info("one", "x", 1)
	l.With("y", 2).WithGroup("g").Error("two")
	flush(l, limit)
	if diff := cmp.Diff([]string{"one x=1", "y=2 g.two"}, text); diff != "" {
		t.Error(diff)
	}
}

// slow is a recorder that holds the first record until it may go on.
type slow struct {
	recorder
	first *sync.Once
	at    chan struct{}
	until chan struct{}
}

func (s slow) Handle(ctx context.Context, r slog.Record) error {
	s.first.Do(func() { close(s.at); <-s.until })
	return s.recorder.Handle(ctx, r)
}

func newSlow(text *[]string, level slog.Leveler) slow {
	return slow{recorder{mu: new(sync.Mutex), text: text, level: level}, new(sync.Once), make(chan struct{}), make(chan struct{})}
}

func TestRecordsThatASlowHandlerDoesNotWantTakeNoPlace(t *testing.T) {
	var text []string
	h := newSlow(&text, slog.LevelInfo)
	l := lane.NewLogger(h)
	l.Warn("first")
	<-h.at
	for range 10_000 { // more than are kept
		l.Debug("left out")
	}
	l.Warn("second")
	close(h.until)
	flush(l, limit)
	if diff := cmp.Diff([]string{"first", "second"}, text); diff != "" {
		t.Error(diff)
	}
}

// They are counted at the end of a program too, after which no record comes.
func TestRecordsThatWereLeftOutAreCountedBeforeTheNextOneOrAtTheEnd(t *testing.T) {
	const lost = "rankpool: log records were lost, because their handler is too slow lost=10"
	for name, end := range map[string][]string{"the next": {lost, "next"}, "the end": {lost}} {
		t.Run(name, func(t *testing.T) {
			var text []string
			h := newSlow(&text, slog.LevelWarn)
			l := lane.NewLogger(h)
			l.Warn("one")
			<-h.at
			for range 4095 + 10 {
				l.Warn("one")
			}
			close(h.until)
			if name == "the next" {
				for l.Waiting() > 0 {
					runtime.Gosched()
				}
				l.Error("next")
			}
			flush(l, limit)
			if len(text) < 4096 {
				t.Fatalf("%d lines", len(text))
			}
			if diff := cmp.Diff(end, text[4096:]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALevelThatIsChangedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text []string
		level := new(slog.LevelVar)
		l := lane.NewLogger(recorder{mu: new(sync.Mutex), text: &text, level: level})
		l.Debug("one")
		flush(l, limit)
		level.Set(slog.LevelDebug)
		time.Sleep(time.Second)
		l.Debug("two")
		flush(l, limit)
		if diff := cmp.Diff([]string{"two"}, text); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSeveralHandlersThatNeverReturnAreWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		a, b := lane.NewLogger(h), lane.NewLogger(h)
		a.Warn("text")
		b.Warn("text")
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		lane.Flush(ctx, a, lane.Logger{}, b)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Flush took %v, not one second", took)
		}
		close(h.until)
	})
}
