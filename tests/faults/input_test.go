//go:build unix

package faults_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestAnImpossibleNumberOfWorkersIsRefused(t *testing.T) {
	for _, n := range []int{0, -1} {
		for name, make := range map[string]func(...futures.Option) error{
			"NewMPIPoolExecutor":     func(o ...futures.Option) error { _, err := futures.NewMPIPoolExecutor(o...); return err },
			"NewProcessPoolExecutor": func(o ...futures.Option) error { _, err := futures.NewProcessPoolExecutor(o...); return err },
			"NewThreadPoolExecutor":  func(o ...futures.Option) error { _, err := futures.NewThreadPoolExecutor(o...); return err },
		} {
			says(t, make(futures.WithMaxWorkers(n)), name, fmt.Sprintf("WithMaxWorkers(%d)", n), "at least 1 worker")
		}
	}
}

func TestEveryWrongOptionIsNamedAtOnce(t *testing.T) {
	_, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(0), futures.WithDir("/no/such/place"),
		futures.WithEnv(map[string]string{"A=B": "c"}), futures.WithLiveness(-1), futures.WithExecutable(""), futures.WithRetries(-1))
	says(t, err, "WithMaxWorkers(0)", "/no/such/place", `"A=B"`, "WithLiveness(-1ns)", "WithExecutable", "WithRetries(-1)")
}

func TestAValueOfAVariableThatMakesNoSenseIsAnErrorWithTheRemedy(t *testing.T) {
	for _, tt := range []struct{ name, value, advice string }{
		{"RANKPOOL_BACKEND", "carrier-pigeon", "use auto, mpi, processes or threads"},
		{"RANKPOOL_BACKEND", "mpi", "use processes or threads"},
		{"RANKPOOL_MAX_WORKERS", "0", "use 1 or more"},
		{"RANKPOOL_MAX_WORKERS", "-3", "use 1 or more"},
		{"RANKPOOL_MAX_WORKERS", "many", "use 1 or more"},
		{"RANKPOOL_MAX_WORKERS", "99999999999999999999", "use 1 or more"},
		{"RANKPOOL_PKL5_THRESHOLD", "1MB", "use 0 or more"},
		{"RANKPOOL_PKL5_THRESHOLD", "-1", "use 0 or more"},
		{"RANKPOOL_BACKOFF", "soon", "use seconds (0.001) or a duration (1ms)"},
		{"RANKPOOL_BACKOFF", "-1ms", "use seconds (0.001) or a duration (1ms)"},
		{"RANKPOOL_BACKOFF", "NaN", "use seconds (0.001) or a duration (1ms)"},
		{"RANKPOOL_BACKOFF", "1e400", "use seconds (0.001) or a duration (1ms)"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			ex, err := futures.NewMPIPoolExecutor()
			if err != nil {
				t.Fatal(err)
			}
			want := []string{tt.name, tt.value, tt.advice}
			says(t, ex.Bootup(limited(t)), want...)
			_, err = ex.NumWorkers(limited(t))
			says(t, err, want...)
			_, err = futures.Submit(ex, inc, 1)
			says(t, err, want...)
			for _, err := range futures.Map(limited(t), ex, inc, []int{1, 2}) {
				says(t, err, want...)
			}
			closeWithin(t, ex)
		})
	}
}

func TestWhatMayBeATypingErrorInTheEnvironmentIsLogged(t *testing.T) {
	t.Setenv("RANKPOOL_WORKERS", "3")
	t.Setenv("RANKPOOL_USE_PKL5", "perhaps") // means no
	var b logged
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithLogger(slog.New(slog.NewTextHandler(&b, nil))))
	works(t, ex)
	closeWithin(t, ex) // the log is written a moment later, and Close waits for it
	says(t, b.String(), "RANKPOOL_WORKERS", "unknown", "RANKPOOL_USE_PKL5", "perhaps", "taken for no")
}

// logged is a buffer for several writers.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAFunctionThatIsNotRegisteredIsRefused(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(1))
		var none futures.Func[int, int]
		_, err := futures.Submit(ex, none, 1)
		says(t, err, "not registered", "Register")
		for _, err := range futures.Map(limited(t), ex, none, []int{1}) {
			says(t, err, "not registered", "Register")
		}
		_, err = b.make(t, futures.WithInitializer(none, 1))
		says(t, err, "WithInitializer", "not registered", "Register")
		if len(ex.Stats().Workers) > 0 {
			t.Error("workers were started")
		}
		works(t, ex)
	})
}

func TestAClosureIsRefusedWhereItCannotGo(t *testing.T) {
	for _, b := range backends[:2] {
		t.Run(b.name, func(t *testing.T) {
			ex := b.open(t, futures.WithMaxWorkers(1))
			closure := futures.Local(heldUp)
			_, err := futures.Submit(ex, closure, 1)
			says(t, err, "input_test.go:", "Local", "Register", "ThreadPoolExecutor")
			_, err = b.make(t, futures.WithInitializer(closure, 1))
			says(t, err, "input_test.go:", "Local", "registered")
			works(t, ex)
		})
	}
}

func TestALateRegistrationPanicsAndNamesThePlaces(t *testing.T) {
	for name, register := range map[string]func(){
		"Register":       func() { futures.Register("late", func(int) (int, error) { return 0, nil }) },
		"Register again": func() { futures.Register("inc", func(int) (int, error) { return 0, nil }) },
		"RegisterGlobal": func() { futures.RegisterGlobal[int]("late") },
		"RegisterError":  func() { futures.RegisterError[*secretive]("late") },
		"RegisterType":   func() { futures.RegisterType[unknown]("late") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				v := recover()
				if v == nil {
					t.Fatal("no panic")
				}
				says(t, fmt.Sprint(v), "input_test.go:", "main_test.go:", "Main")
				t.Log(v)
			}()
			register()
		})
	}
}

func TestAnArgumentThatCannotBeEncodedIsRefusedAtTheCall(t *testing.T) {
	for _, b := range backends[:2] {
		t.Run(b.name, func(t *testing.T) {
			ex := b.open(t, futures.WithMaxWorkers(1))
			_, err := futures.Submit(ex, takeAny, holder{unknown{1}})
			says(t, err, "takeAny", "faults_test.unknown", "Value", "RegisterType")
			_, err = futures.Submit(ex, takeAny, holder{make(chan int)})
			says(t, err, "takeAny", "chan int", "Value")
			n := 0
			for s, err := range futures.Map(limited(t), ex, takeAny, []holder{{1}, {func() {}}, {2}}) {
				switch {
				case n == 1:
					says(t, err, "takeAny", "element 1", "func()")
				case err != nil || s == "":
					t.Errorf("element %d: %q, %v", n, s, err)
				}
				n++
			}
			if n != 3 {
				t.Errorf("%d elements, want 3", n)
			}
			works(t, ex)
		})
	}
}

func TestAResultThatCannotBeEncodedFailsItsTaskOnly(t *testing.T) {
	for _, b := range backends[:2] {
		t.Run(b.name, func(t *testing.T) {
			ex := b.open(t, futures.WithMaxWorkers(1))
			before, bad, after := submit(t, ex, inc, 1), submit(t, ex, giveAny, 1), submit(t, ex, inc, 2)
			says(t, failure(t, bad), "giveAny", "result", "faults_test.unknown", "RegisterType")
			for _, f := range []*futures.Future[int]{before, after} {
				if _, err := f.Result(limited(t)); err != nil {
					t.Error(err)
				}
			}
			works(t, ex)
		})
	}
}

func TestAMarshallerThatFailsOnEitherSideCostsItsTaskOnly(t *testing.T) {
	for _, b := range backends[:2] {
		t.Run(b.name, func(t *testing.T) {
			ex := b.open(t, futures.WithMaxWorkers(2))
			for when, cause := range map[string]string{
				"marshal": "the ink has run out", "marshal panics": "the pen broke",
				"unmarshal": "illegible", "unmarshal panics": "the glasses broke",
			} {
				if _, err := futures.Submit(ex, takeFrail, frail{when}); strings.HasPrefix(when, "marshal") {
					says(t, err, "argument", "takeFrail", "MarshalBinary", cause)
				} else {
					says(t, failure(t, submit(t, ex, takeFrail, frail{when})), "argument", "takeFrail", "UnmarshalBinary", cause)
				}
				says(t, failure(t, submit(t, ex, giveFrail, when)), "result", "giveFrail", "arshalBinary", cause)

				// In a Map, and in the middle of a chunk, what comes before and after it is delivered.
				for _, chunk := range []int{1, 3, 100} {
					in := []string{"a", "b", "c", "d", when, "e"}
					n := 0
					for v, err := range futures.Map(limited(t), ex, giveFrail, in, futures.WithChunkSize(chunk)) {
						switch {
						case n < len(in) && in[n] == when:
							says(t, err, "element 4", "giveFrail", cause)
						case err != nil:
							t.Errorf("%s, chunks of %d: element %d: %v", when, chunk, n, err)
						case n >= len(in) || v.when != in[n]:
							t.Errorf("result %d is %q", n, v.when)
						}
						n++
					}
					if n != len(in) {
						t.Errorf("%s, chunks of %d: %d results and errors, want %d", when, chunk, n, len(in))
					}
				}
				works(t, ex)
			}
		})
	}
}

func TestAnErrorThatCannotBeEncodedArrivesAsText(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(1))
		for kind, want := range map[string]string{
			"registered": "a secret", "piped": "at the the pipe is blocked", "ring": "round and round", "long": "very long",
		} {
			t.Run(kind, func(t *testing.T) {
				err := failure(t, submit(t, ex, returnsErr, kind))
				if !strings.Contains(err.Error(), want) {
					t.Errorf("nothing says %q in: %.200s", want, err)
				}
				if b.name == "shared" {
					return // the error is the very one that was returned
				}
				if remote := new(futures.RemoteError); !errors.As(err, &remote) || remote.Func != "returnsErr" {
					t.Errorf("it is a %T, want a *RemoteError of returnsErr", err)
				}
				if kind == "registered" {
					says(t, err, "value was left behind", "faults_test.unknown")
				}
			})
		}
		if b.name != "shared" {
			says(t, failure(t, submit(t, ex, returnsErr, "mute")), "its Error method panicked: lost for words")
			says(t, failure(t, submit(t, ex, returnsErr, "nil pointer")), "nil *fs.PathError")
		}
		works(t, ex)
	})
}
