package lane_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/internal/lane"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait, against hanging.
const limit = 2 * time.Minute

func drained(t *testing.T, l *lane.Lane) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFunctionsRunOneAfterAnotherInTheirOrderAlsoAfterOneThatDoesNotReturn(t *testing.T) {
	l := lane.Lane{Panicked: func(any) {}}
	var got []int
	for i := range 10 {
		l.Add(func() {
			got = append(got, i)
			switch i {
			case 3:
				panic("told to")
			case 6:
				runtime.Goexit()
			}
		})
	}
	drained(t, &l)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got); diff != "" {
		t.Error(diff)
	}
	if n := l.Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestDrainWaitsForWhatWasAddedBeforeAndNotForWhatComesLater(t *testing.T) {
	var l lane.Lane
	first, later := make(chan struct{}), make(chan struct{})
	l.Add(func() { <-first })
	over := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		over <- l.Drain(context.Background())
	}()
	<-began
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := l.Drain(ctx); !errors.Is(err, cause) {
		t.Errorf("Drain with an ended context: %v", err)
	}
	close(first)
	if err := <-over; err != nil {
		t.Error(err)
	}
	l.Add(func() { <-later })
	close(later)
	drained(t, &l)
}

func TestAFunctionMayDrainItsOwnLane(t *testing.T) {
	var l lane.Lane
	l.Add(func() {
		if err := l.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	drained(t, &l)
}

// hanging is a handler that does not return, from any of its methods.
type hanging struct{ until chan struct{} }

func (h hanging) Enabled(context.Context, slog.Level) bool  { <-h.until; return true }
func (h hanging) Handle(context.Context, slog.Record) error { <-h.until; return nil }
func (h hanging) WithAttrs([]slog.Attr) slog.Handler        { <-h.until; return h }
func (h hanging) WithGroup(string) slog.Handler             { <-h.until; return h }

func TestAHandlerThatNeverReturnsStopsTheLogAndNothingElse(t *testing.T) {
	h := hanging{make(chan struct{})}
	l := lane.NewLogger(h)
	for range 10_000 { // more than are kept
		l.With("a", 1).WithGroup("g").Warn("text")
	}
	l.Flush(time.Millisecond)
	close(h.until)
	l.Flush(limit)
}

// recorder notes what it is given.
type recorder struct {
	mu   *sync.Mutex
	text *[]string
	pre  string
}

func (r recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
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
	l := lane.NewLogger(recorder{mu: new(sync.Mutex), text: &text})
	l.Debug("left out")
	l.Info("one", "x", 1)
	l.With("y", 2).WithGroup("g").Error("two")
	l.Flush(limit)
	if diff := cmp.Diff([]string{"one x=1", "y=2 g.two"}, text); diff != "" {
		t.Error(diff)
	}
}
