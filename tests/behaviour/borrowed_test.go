package behaviour_test

import (
	"errors"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// Field is an array that travels beside the message.
type Field [1 << 15]float64

// Grid has one inside.
type Grid struct {
	Name string
	Rows [2]Field
}

// Trap is an error whose methods are not to be called in the master.
type Trap struct{ How string }

func (e *Trap) Error() string {
	if e == nil {
		return "nothing"
	}
	return e.How
}

func (e *Trap) Unwrap() error {
	if e.How == "itself" {
		return e
	}
	return nil
}

// Quitter ends the goroutine that reads it.
type Quitter struct{ N int }

func (q Quitter) MarshalBinary() ([]byte, error) {
	if q.N < 0 {
		runtime.Goexit()
	}
	return []byte{byte(q.N)}, nil
}

func (q *Quitter) UnmarshalBinary(b []byte) error {
	if q.N = int(b[0]); q.N == 1 {
		runtime.Goexit()
	}
	return nil
}

// Late fails to be encoded when much has been encoded before.
type Late struct {
	Text []string
	Fuse Fuse
}

// Fuse cannot be encoded below zero.
type Fuse struct{ X int }

func (f Fuse) MarshalBinary() ([]byte, error) {
	if f.X < 0 {
		return nil, errHook
	}
	return []byte(strconv.Itoa(f.X)), nil
}

func (f *Fuse) UnmarshalBinary(b []byte) (err error) {
	f.X, err = strconv.Atoi(string(b))
	return err
}

var (
	_ = futures.RegisterError[*Trap]("Trap")

	field = futures.Register("field", func(x int) (Field, error) {
		var f Field
		for i := range f {
			f[i] = float64(x)
		}
		return f, nil
	})
	grid = futures.Register("grid", func(x int) (Grid, error) {
		g := Grid{Name: "grid"}
		for i := range g.Rows[1] {
			g.Rows[0][i], g.Rows[1][i] = float64(x), float64(-x)
		}
		return g, nil
	})
	sumField = futures.Register("sumField", func(f Field) (float64, error) {
		s := 0.0
		for _, x := range f {
			s += x
		}
		return s, nil
	})
	reused = func() futures.Func[int, []float64] {
		var scratch []float64
		return futures.Register("reused", func(x int) ([]float64, error) {
			if scratch == nil {
				scratch = make([]float64, 1<<16)
			}
			for i := range scratch {
				scratch[i] = float64(x)
			}
			return scratch, nil
		})
	}()
	trap = futures.Register("trap", func(how string) (int, error) {
		if how == "nil" {
			var e *Trap
			return 0, e
		}
		return 0, &Trap{how}
	})
	quit = futures.Register("quit", func(x int) (Quitter, error) { return Quitter{x}, nil })
	late = futures.Register("late", func(x int) (Late, error) {
		l := Late{Fuse: Fuse{x}}
		if x == 203 { // long enough for what was before to be sent meanwhile
			time.Sleep(50 * time.Millisecond)
		}
		if x == 200 {
			l.Fuse.X = -1
			for range 20 {
				l.Text = append(l.Text, strings.Repeat("x", 100_000))
			}
		}
		return l, nil
	})
)

// onCoded is on where values are encoded.
func onCoded(t *testing.T, workers int, test func(t *testing.T, b backend, ex futures.Executor)) {
	t.Helper()
	each(t, func(t *testing.T, b backend) { test(t, b, b.start(t, workers)) }, func(b backend) bool { return !b.shares })
}

func all[T any](xs []T, want T) bool {
	for range xs {
		if any(xs[0]) != any(want) {
			return false
		}
	}
	return !slices.ContainsFunc(xs, func(x T) bool { return any(x) != any(want) })
}

func TestLargeArraysArriveWholeOneByOneAndInChunks(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for x := 1; x <= 3; x++ {
			f, g := result(t, submit(t, ex, field, x)), result(t, submit(t, ex, grid, x))
			if !all(f[:], float64(x)) || !all(g.Rows[0][:], float64(x)) || !all(g.Rows[1][:], -float64(x)) || g.Name != "grid" {
				t.Fatalf("the array of %d came damaged: %v, %v, %v", x, f[0], g.Rows[0][0], g.Rows[1][0])
			}
		}
		x := 0
		for g, err := range futures.Map(within(t), ex, grid, upTo(7), futures.WithChunkSize(3)) {
			if err != nil || !all(g.Rows[0][:], float64(x)) || !all(g.Rows[1][:], -float64(x)) {
				t.Fatalf("element %d came damaged: %v, %v", x, g.Rows[0][0], err)
			}
			x++
		}
	})
}

func TestASequenceOfLargeArraysIsSentAsItWasDrawn(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		fields := func(yield func(Field) bool) {
			for x := range 40 {
				var f Field
				for i := range f {
					f[i] = float64(x)
				}
				if !yield(f) {
					return
				}
			}
		}
		for _, chunk := range []int{1, 3} {
			x := 0
			for s, err := range futures.Map(within(t), ex, sumField, iter.Seq[Field](fields), futures.WithChunkSize(chunk)) {
				if want := float64(x) * float64(len(Field{})); err != nil || s != want {
					t.Fatalf("chunks of %d: the sum of element %d is %v, want %v (%v)", chunk, x, s, want, err)
				}
				x++
			}
		}
	})
}

func TestAResultMayBeWrittenToByTheNextCall(t *testing.T) {
	onCoded(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		x := 0
		for s, err := range futures.Map(within(t), ex, reused, upTo(6), futures.WithChunkSize(3)) {
			if err != nil || !all(s, float64(x)) {
				t.Fatalf("element %d is %v, %v", x, s[0], err)
			}
			x++
		}
	})
}

func TestTheMethodsOfAnErrorCannotHarmTheMaster(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, how := range []string{"nil", "itself", "plain"} {
			f := submit(t, ex, trap, how)
			<-f.DoneChan()
			if taskErr, waitErr := f.Exception(within(t)); taskErr == nil || waitErr != nil {
				t.Errorf("%s: %v, %v", how, taskErr, waitErr)
			}
		}
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

func TestAMarshallerThatEndsItsGoroutineFailsOneTask(t *testing.T) {
	onCoded(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		for x := -1; x < 4; x++ {
			q, err := submit(t, ex, quit, x).Result(within(t))
			if bad := x == -1 || x == 1; bad != (err != nil) || !bad && q.N != x {
				t.Errorf("%d: %v, %v", x, q, err)
			}
			if p := new(futures.PanicError); err != nil && !errors.As(err, &p) {
				t.Errorf("%d: %v", x, err)
			}
		}
	})
}

func TestALargeResultThatCannotBeEncodedFailsNoOther(t *testing.T) {
	onCoded(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, err := range futures.Map(within(t), ex, late, make([]int, 5000)) { // it is found to be tiny
			if err != nil {
				t.Fatal(err)
			}
		}
		var fs []*futures.Future[Late]
		for x := range 400 {
			fs = append(fs, submit(t, ex, late, x))
		}
		for x, f := range fs {
			l, err := f.Result(within(t))
			if x == 200 {
				if err == nil || !contains(err, "cannot be encoded") {
					t.Errorf("the one that fails: %v", err)
				}
				continue
			}
			if err != nil || l.Fuse.X != x {
				t.Fatalf("%d: %v, %v", x, l.Fuse, err)
			}
		}
		if s := ex.Stats(); s.Lost > 0 {
			t.Errorf("%+v", s)
		}
	})
}
