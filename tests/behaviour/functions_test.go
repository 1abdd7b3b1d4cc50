package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/rankpool/rankpool/futures"
)

// What the workers can run.
var (
	square  = futures.Register("square", func(x int) (int, error) { return x * x, nil })
	plusOne = futures.Register("plusOne", func(x int) (int, error) { return x + 1, nil })
	pow     = futures.Register("pow", futures.Spread(func(x, y float64) (float64, error) { return math.Pow(x, y), nil }))
	add     = futures.Register("add", futures.Spread(func(x, y int) (int, error) { return x + y, nil }))
	pure    = futures.Register("pure", futures.Pure(func(s string) int { return len(s) }))
	pid     = futures.Register("pid", func(struct{}) (int, error) { return os.Getpid(), nil })

	wait     = futures.RegisterContext("wait", func(ctx context.Context, g gate) (bool, error) { return true, g.pass(ctx) })
	deaf     = futures.Register("deaf", func(g gate) (bool, error) { return true, g.pass(context.Background()) })
	announce = futures.RegisterContext("announce", announceAndWait)

	failOn = futures.Register("failOn", func(x int) (int, error) {
		if x < 0 {
			return 0, &InputError{Value: x, Why: "negative"}
		}
		return x, nil
	})
	sum      = futures.Register("sum", sumOf)
	double   = futures.Register("double", doubleAll)
	first    = futures.Register("first", func(xs []int) (int, error) { return xs[0], nil })
	pointer  = futures.Register("pointer", func(p *int) (*int, error) { return p, nil })
	hooked   = futures.Register("hooked", func(h Hooked) (Hooked, error) { h.N++; return h, nil })
	stubborn = futures.Register("stubborn", func(x int) (Stubborn, error) { return Stubborn{x}, nil })
	garbled  = futures.Register("garbled", func(x int) (Garbled, error) { return Garbled{x}, nil })
	ended    = futures.Register("ended", func(int) (int, error) { return 0, context.Canceled })
	missing  = futures.Register("missing", func(name string) (int, error) { _, err := os.Open(name); return 0, err })
	several  = futures.Register("several", func(int) (int, error) {
		return 0, fmt.Errorf("both: %w", errors.Join(ErrEmpty, &InputError{7, "seven"}))
	})

	takes = futures.Register("takes", func(s Stubborn) (int, error) { return s.X, nil })
	block = futures.Register("block", func(x int) (*Block, error) { return &Block{x}, nil })
	stage = futures.RegisterContext("stage", failOrAnnounce)

	getenv = futures.Register("getenv", func(name string) (string, error) { return os.Getenv(name), nil })
	getwd  = futures.Register("getwd", func(struct{}) (string, error) { return os.Getwd() })

	remember   = futures.RegisterContext("remember", rememberState)
	remembered = futures.Register("remembered", func(struct{}) (State, error) { return state.Load().(State), nil })
	keep       = futures.Register("keep", func(xs []int) (bool, error) { kept.Store(int64(xs[0])); return true, nil })
	keptValue  = futures.Register("keptValue", func(struct{}) (int64, error) { return kept.Load(), nil })
	crowd      = futures.Register("crowd", countCrowd)
	myself     = futures.Register("myself", func(struct{}) (Self, error) {
		path, err := os.Executable()
		return Self{path, os.Args[1:], futures.InWorker()}, err
	})
	refuseAs = futures.Register("refuseAs", func(how string) (bool, error) {
		if how == "panic" {
			panic("at start")
		}
		return false, &InputError{Value: 1, Why: how}
	})
	refuse = futures.Register("refuse", func(g gate) (bool, error) {
		return false, errors.Join(errors.New("no licence"), g.pass(context.Background()))
	})

	setting = futures.RegisterGlobal[map[string]int]("setting")
	unset   = futures.RegisterGlobal[int]("unset")
	lookup  = futures.RegisterContext("lookup", func(ctx context.Context, name string) (int, error) {
		m, err := setting.Get(ctx)
		if _, other := unset.Get(ctx); !errors.Is(other, futures.ErrGlobalNotSet) {
			return 0, fmt.Errorf("a global that was not set: %w", other)
		}
		if err != nil {
			return 0, err
		}
		return m[name], nil
	})
)

// InputError is an error type that keeps its identity.
type InputError struct {
	Value int
	Why   string
}

func (e *InputError) Error() string { return fmt.Sprintf("%d is %s", e.Value, e.Why) }

var _ = futures.RegisterError[*InputError]("InputError")

// ErrEmpty is a sentinel that keeps its identity.
var ErrEmpty = futures.RegisterSentinel("ErrEmpty", errors.New("nothing there"))

// Hooked counts how often it was encoded and decoded.
type Hooked struct{ N, Encoded, Decoded int }

// MarshalBinary counts.
func (h Hooked) MarshalBinary() ([]byte, error) {
	return fmt.Appendf(nil, "%d %d %d", h.N, h.Encoded+1, h.Decoded), nil
}

// UnmarshalBinary counts.
func (h *Hooked) UnmarshalBinary(b []byte) error {
	_, err := fmt.Sscanf(string(b), "%d %d %d", &h.N, &h.Encoded, &h.Decoded)
	h.Decoded++
	return err
}

var errHook = errors.New("the hook says no")

// Stubborn cannot be encoded, unless it is even.
type Stubborn struct{ X int }

// MarshalBinary fails for odd numbers.
func (s Stubborn) MarshalBinary() ([]byte, error) {
	if s.X%2 == 1 {
		return nil, errHook
	}
	return []byte{byte(s.X)}, nil
}

// UnmarshalBinary never fails.
func (s *Stubborn) UnmarshalBinary(b []byte) error { s.X = int(b[0]); return nil }

// Garbled can be encoded but not decoded, unless it is even.
type Garbled struct{ X int }

// MarshalBinary never fails.
func (g Garbled) MarshalBinary() ([]byte, error) { return []byte{byte(g.X)}, nil }

// UnmarshalBinary fails for odd numbers.
func (g *Garbled) UnmarshalBinary(b []byte) error {
	if g.X = int(b[0]); g.X%2 == 1 {
		return errHook
	}
	return nil
}

// place is a file to make when a task begins and one to wait for.
type place struct {
	Begun string
	Gate  gate
}

// scene is a task that fails, or that announces itself and waits.
type scene struct {
	Fails bool
	place
}

func failOrAnnounce(ctx context.Context, s scene) (int, error) {
	if s.Fails {
		return 0, &InputError{Why: "the first"}
	}
	return announceAndWait(ctx, s.place)
}

// Block is a result that is worth letting go of.
type Block [1 << 10]int

// Self is what a task knows of its process.
type Self struct {
	Path     string
	Args     []string
	InWorker bool
}

// announceAndWait says that it has begun and waits for a gate.
func announceAndWait(ctx context.Context, p place) (int, error) {
	if err := os.WriteFile(p.Begun, []byte("begun"), 0o600); err != nil {
		return 0, err
	}
	return os.Getpid(), p.Gate.pass(ctx)
}

func sumOf(xs []float64) (float64, error) {
	s := 0.0
	for _, x := range xs {
		s += x
	}
	return s, nil
}

func doubleAll(xs []float64) ([]float64, error) {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = 2 * x
	}
	return ys, nil
}

// State is what an initializer saw.
type State struct {
	Arg, Dir, Env string
	Global        int
	Calls         int64
}

var (
	state atomic.Value
	calls atomic.Int64
	kept  atomic.Int64

	present, most atomic.Int64
)

// countCrowd notes how many tasks run at once in this process.
func countCrowd(int) (int64, error) {
	n := present.Add(1)
	defer present.Add(-1)
	for {
		m := most.Load()
		if n <= m || most.CompareAndSwap(m, n) {
			return n, nil
		}
		runtime.Gosched()
	}
}

func rememberState(ctx context.Context, arg string) (bool, error) {
	dir, err := os.Getwd()
	m, _ := setting.Get(ctx)
	state.Store(State{Arg: arg, Dir: dir, Env: os.Getenv("BEHAVIOUR"), Global: m["answer"], Calls: calls.Add(1)})
	return true, err
}
