package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// Atlas is a value with large parts at every depth.
type Atlas struct {
	Name   string
	Flat   []float64
	Nested map[string][][]int32
	Deep   *Atlas
	Array  *[40_000]uint64
	Any    any
	Points []struct {
		X, Y float32
		Set  bool
	}
	Words []string
	hid   []byte
}

// newAtlas makes one whose large parts are longer than the threshold of the default, and its small ones are not.
func newAtlas(seed int) Atlas {
	a := Atlas{
		Name: strings.Repeat("name", 100_000), Flat: make([]float64, 50_000), Array: new([40_000]uint64), hid: make([]byte, 300_000),
		Nested: map[string][][]int32{"a": {make([]int32, 70_000), {1, 2}, nil, {}}, "b": nil},
		Any:    make([]int64, 40_000), Words: make([]string, 60_000),
	}
	for i := range a.Flat {
		a.Flat[i] = float64(seed * i)
	}
	for i := range a.Nested["a"][0] {
		a.Nested["a"][0][i] = int32(seed - i)
	}
	for i := range a.Array {
		a.Array[i] = uint64(seed) << (i % 64)
	}
	for i := range a.hid {
		a.hid[i] = byte(seed + i)
	}
	for i := range a.Any.([]int64) {
		a.Any.([]int64)[i] = int64(seed ^ i)
	}
	for i := range a.Words {
		a.Words[i] = fmt.Sprint("word ", seed*i)
	}
	for i := range 50_000 {
		a.Points = append(a.Points, struct {
			X, Y float32
			Set  bool
		}{float32(i), float32(seed), i%3 == 0})
	}
	if seed > 1 {
		deep := newAtlas(seed - 1)
		a.Deep = &deep
	}
	return a
}

// differs says how an atlas differs from the one of a seed.
func (a Atlas) differs(seed int) string {
	if want := newAtlas(seed); !reflect.DeepEqual(a, want) {
		return "it differs: " + cmp.Diff(len(want.Words), len(a.Words)) + cmp.Diff(want.Name == a.Name, true)
	}
	return ""
}

// Held is what a worker says of its values.
type Held struct {
	Global, Other, Arg string // how they differ
	Place              uint64 // where the global's slice is
	Pid                int
}

var (
	atlas     = futures.RegisterGlobal[Atlas]("atlas")
	otherMap  = futures.RegisterGlobal[map[string][]float64]("otherMap")
	heldAtlas Atlas
	keepAtlas = futures.Register("keepAtlas", func(a Atlas) (bool, error) { heldAtlas = a; return true, nil })
	askAtlas  = futures.RegisterContext("askAtlas", func(ctx context.Context, seed int) (Held, error) {
		a, err := atlas.Get(ctx)
		m, other := otherMap.Get(ctx)
		h := Held{Global: a.differs(seed), Arg: heldAtlas.differs(seed + 1), Pid: os.Getpid()}
		for i, x := range m["x"] {
			if x != float64(i+seed) {
				h.Other = fmt.Sprint("element ", i, " is ", x)
			}
		}
		if len(m["x"]) != 100_000 || len(m) != 1 {
			h.Other = "it has another length"
		}
		if len(a.Flat) > 0 {
			h.Place = uint64(uintptr(unsafe.Pointer(&a.Flat[0])))
		}
		return h, errors.Join(err, other)
	})
)

// world returns the options that set the values of a seed, which the caller changes before the workers start.
func world(seed int) (opts []futures.Option, change func()) {
	a, arg, m := newAtlas(seed), newAtlas(seed+1), map[string][]float64{"x": make([]float64, 100_000)}
	for i := range m["x"] {
		m["x"][i] = float64(i + seed)
	}
	return []futures.Option{
			futures.WithGlobal(otherMap, nil), // the last one counts
			futures.WithGlobal(atlas, a), futures.WithGlobal(otherMap, m), futures.WithInitializer(keepAtlas, arg),
		}, func() {
			clear(a.Flat)
			clear(a.Nested["a"][0])
			clear(a.hid)
			clear(m["x"])
			a.Deep = nil
		}
}

func TestGlobalsAreEqualAtEveryDepthWhateverTheThreshold(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for name, opts := range map[string][]futures.Option{
			"the default": nil, "all": {futures.WithOutOfBandThreshold(0)}, "none": {futures.WithOutOfBand(false)},
		} {
			set, change := world(2)
			ex := b.start(t, 2, append(opts, set...)...)
			change()
			for _, f := range []*futures.Future[Held]{submit(t, ex, askAtlas, 2), submit(t, ex, askAtlas, 2)} {
				if h := result(t, f); h.Global+h.Other+h.Arg != "" {
					t.Errorf("%s: %+v", name, h)
				}
			}
			if err := ex.Shutdown(within(t)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAWorkerThatTakesThePlaceOfAnotherHasTheSameGlobals(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		set, change := world(1)
		ex := b.start(t, 1, set...)
		before := result(t, submit(t, ex, askAtlas, 1))
		change()
		if p, err := os.FindProcess(before.Pid); err != nil || p.Kill() != nil {
			t.Fatal("the worker cannot be killed:", err)
		}
		eventually(t, "the worker has gone", func() bool { return ex.Stats().Restarts > 0 })
		h := result(t, submit(t, ex, askAtlas, 1, futures.WithRetries(3)))
		if h.Global+h.Other+h.Arg != "" || h.Pid == before.Pid {
			t.Errorf("%+v, before %+v", h, before)
		}
	}, replaces)
}

// inOnePlace has all workers look at the value of a global, of which there is to be one.
func inOnePlace(t *testing.T, ex futures.Executor) {
	t.Helper()
	places := map[uint64]bool{}
	for h, err := range futures.Map(within(t), ex, askAtlas, []int{1, 1, 1, 1, 1, 1, 1, 1}) {
		if err != nil || h.Global+h.Other+h.Arg != "" {
			t.Errorf("%+v, %v", h, err)
		}
		places[h.Place] = true
	}
	if len(places) != 1 {
		t.Errorf("it is in %d places", len(places))
	}
}

func TestWorkersThatAreGoroutinesShareTheValueOfAGlobal(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		set, _ := world(1)
		ex := b.start(t, 4, set...)
		inOnePlace(t, ex)
	}, inside)
}
