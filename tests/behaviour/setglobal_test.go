package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// edition is a value that is set again and again, with parts that travel in different ways.
type edition struct {
	Number int
	Large  []float64
	Words  []string
	Table  map[string][]int
}

func newEdition(n int) edition {
	e := edition{Number: n, Large: make([]float64, 40_000), Table: map[string][]int{"n": {n}}}
	for i := range e.Large {
		e.Large[i] = float64(n + i)
	}
	for i := range 100 {
		e.Words = append(e.Words, fmt.Sprint(n, " ", i))
	}
	return e
}

// number is which edition it is; an error says that it is not a whole one.
func (e edition) number() (int, error) {
	want := newEdition(e.Number)
	if !slices.Equal(e.Large, want.Large) || !slices.Equal(e.Words, want.Words) || !slices.Equal(e.Table["n"], want.Table["n"]) {
		return 0, fmt.Errorf("edition %d has parts of another", e.Number)
	}
	return e.Number, nil
}

// awaiting is a call that reads the edition when a gate is open.
type awaiting struct {
	Gate   gate
	Dir    string // gets a file when the call begins
	Worker int    // is no more than that
}

// editions are what a call has found: before and after its gate was open, and what is in the other global.
type editions struct{ Before, After, Other, State, Pid int }

var (
	current  = futures.RegisterGlobal[edition]("set.current")
	alsoSet  = futures.RegisterGlobal[int]("set.alsoSet")
	openedAs = futures.RegisterState("set.opened", func(ctx context.Context) (int, error) {
		e, err := current.Get(ctx)
		return e.Number, err
	}, nil)
	readEdition = futures.RegisterContext("set.read", func(ctx context.Context, w awaiting) (found editions, err error) {
		found.Pid = os.Getpid()
		for _, into := range []*int{&found.Before, &found.After} {
			e, err := current.Get(ctx)
			if err != nil {
				return found, err
			}
			if *into, err = e.number(); err != nil {
				return found, err
			}
			if w.Dir != "" && into == &found.Before {
				if f, err := os.CreateTemp(w.Dir, "begun"); err != nil || f.Close() != nil {
					return found, errors.Join(err, errors.New("the mark cannot be made"))
				}
			}
			if err := w.Gate.pass(ctx); err != nil {
				return found, err
			}
		}
		if found.Other, err = alsoSet.Get(ctx); err != nil {
			return found, err
		}
		found.State, err = openedAs.Get(ctx)
		return found, err
	})
	editionOf = futures.RegisterContext("set.number", func(ctx context.Context, _ int) (int, error) {
		e, err := current.Get(ctx)
		if err != nil {
			return 0, err
		}
		return e.number()
	})
)

// set sets a global and expects that it can be.
func set[T any](t *testing.T, ex futures.Executor, g futures.Global[T], value T) {
	t.Helper()
	if err := g.Set(ex, value); err != nil {
		t.Fatal(err)
	}
}

func TestACallFindsTheValueThatWasSetWhenItWasSubmitted(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g, dir := newGate(t), t.TempDir()
		old := []*futures.Future[editions]{submit(t, ex, readEdition, awaiting{Gate: g, Dir: dir}), submit(t, ex, readEdition, awaiting{Gate: g, Dir: dir})}
		running(t, dir, 2)
		for range 20 {
			old = append(old, submit(t, ex, readEdition, awaiting{}))
		}
		input := futures.NewPromise[awaiting]()
		after, err := futures.SubmitAfter(ex, readEdition, input.Future())
		if err != nil {
			t.Fatal(err)
		}
		mapped := futures.Map(within(t), ex, editionOf, iter.Seq[int](func(yield func(int) bool) {
			for i := 0; i < 300 && yield(i); i++ { // drawn when it is read
			}
		}))
		value := newEdition(2)
		set(t, ex, current, value)
		clear(value.Large) // it is the caller's again
		value.Table["n"][0] = 7
		set(t, ex, alsoSet, 20)
		var fresh []*futures.Future[editions]
		for range 20 {
			fresh = append(fresh, submit(t, ex, readEdition, awaiting{}))
		}
		gang, err := futures.SubmitEach(ex, editionOf, 0)
		if err != nil {
			t.Fatal(err)
		}
		g.open()
		_ = input.SetResult(awaiting{})
		for i, f := range append(old, after) {
			if v := result(t, f); v.Before != 1 || v.After != 1 || v.Other != 10 {
				t.Errorf("call %d that was submitted before: %+v", i, v)
			}
		}
		n := 0
		for v, err := range mapped {
			if n++; v != 1 || err != nil {
				t.Fatalf("element %d of a map that was begun before: %d, %v", n, v, err)
			}
		}
		if n != 300 {
			t.Errorf("%d elements", n)
		}
		for i, f := range fresh {
			if v := result(t, f); v.Before != 2 || v.After != 2 || v.Other != 20 {
				t.Errorf("call %d that was submitted after: %+v", i, v)
			}
		}
		all, err := gang.Result(within(t))
		if err != nil || !slices.Equal(all, []int{2, 2}) {
			t.Errorf("the calls of a gang: %v, %v", all, err)
		}
	}, futures.WithGlobal(current, newEdition(1)), futures.WithGlobal(alsoSet, 10))
}

func TestManyValuesThatAreSetBetweenCallsAreKeptApart(t *testing.T) {
	on(t, 4, func(t *testing.T, _ backend, ex futures.Executor) {
		var maps []func() error
		for n := 1; n <= 12; n++ {
			if n > 1 {
				set(t, ex, current, newEdition(n))
			}
			if n%3 == 0 {
				set(t, ex, alsoSet, n)
			}
			seq := futures.Map(within(t), ex, editionOf, make([]int, 200), futures.WithChunkSize(n%3+1))
			maps = append(maps, func() error {
				k := 0
				for v, err := range seq {
					if k++; v != n || err != nil {
						return fmt.Errorf("element %d of map %d: %d, %w", k, n, v, err)
					}
				}
				return nil
			})
			var calls []*futures.Future[editions]
			for range 10 {
				calls = append(calls, submit(t, ex, readEdition, awaiting{}, futures.WithPriority(n%2)))
			}
			maps = append(maps, func() error {
				for i, f := range calls {
					if v, err := f.Result(within(t)); err != nil || v.Before != n || v.After != n || v.Other != n/3*3 {
						return fmt.Errorf("call %d of %d: %+v, %w", i, n, v, err)
					}
				}
				return nil
			})
		}
		for _, read := range maps {
			if err := read(); err != nil {
				t.Error(err)
			}
		}
	}, futures.WithGlobal(current, newEdition(1)), futures.WithGlobal(alsoSet, 0))
}

func TestWhatRunsAgainAfterALossFindsTheValueOfItsCall(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithGlobal(current, newEdition(1)), futures.WithGlobal(alsoSet, 1))
		first := result(t, submit(t, ex, readEdition, awaiting{}))
		set(t, ex, current, newEdition(2))
		g, dir := newGate(t), t.TempDir()
		lost := submit(t, ex, readEdition, awaiting{Gate: g, Dir: dir}, futures.WithRetries(3))
		running(t, dir, 1)
		set(t, ex, current, newEdition(3))
		behind := submit(t, ex, readEdition, awaiting{})
		if p, err := os.FindProcess(first.Pid); err != nil || p.Kill() != nil {
			t.Fatal("the worker cannot be killed:", err)
		}
		running(t, dir, 2)
		g.open()
		if v := result(t, lost); v.Before != 2 || v.After != 2 || v.State != 2 || v.Pid == first.Pid {
			t.Errorf("what runs again: %+v, before %+v", v, first)
		}
		if v := result(t, behind); v.Before != 3 || v.After != 3 || v.State != 2 {
			t.Errorf("what was submitted after: %+v", v)
		}
	}, replaces)
}

func TestAStateIsOpenedWithTheValueOfTheTaskThatOpensIt(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2, futures.WithGlobal(current, newEdition(1)), futures.WithGlobal(alsoSet, 1))
		if err := ex.Bootup(within(t)); err != nil {
			t.Fatal(err)
		}
		set(t, ex, current, newEdition(2))
		f, err := futures.SubmitEach(ex, readEdition, awaiting{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := f.Result(within(t))
		for _, v := range all {
			if v.State != 2 {
				t.Errorf("it was opened with %d", v.State)
			}
		}
		if err != nil || len(all) != 2 {
			t.Error(all, err)
		}
	})
}

// heap is what a worker's process has in use after a task has found an edition of so many elements.
var heap = futures.RegisterContext("set.heap", func(ctx context.Context, elements int) (uint64, error) {
	e, err := current.Get(ctx)
	if err != nil || len(e.Large) != elements {
		return 0, errors.Join(err, fmt.Errorf("it has %d elements", len(e.Large)))
	}
	e = edition{}
	runtime.GC()
	runtime.GC()
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	return st.HeapAlloc, nil
})

func TestAProcessLetsGoOfValuesThatNothingNeeds(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		const elements = 4 << 20 // 32 MiB
		ex := b.start(t, 2, futures.WithGlobal(current, edition{}))
		for range 8 {
			set(t, ex, current, edition{Large: make([]float64, elements)})
			f, err := futures.SubmitEach(ex, heap, elements)
			if err != nil {
				t.Fatal(err)
			}
			all, err := f.Result(within(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range all {
				if n > 5*8*elements { // one that is there, one that is about to go, and what the collector takes for memory that it can wait with
					t.Errorf("a process has %d MiB in use", n>>20)
				}
			}
		}
	}, apart)
}

func TestGoroutinesShareAValueThatIsSet(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		sets, _ := world(1)
		ex := b.start(t, 4, sets...)
		set(t, ex, atlas, newAtlas(1))
		inOnePlace(t, ex)
	}, inside)
}

func TestAJournalKnowsCallsByTheValueThatWasSet(t *testing.T) {
	by := func(n int) map[string]int { return map[string]int{"by": n} }
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2, futures.WithGlobal(factor, by(1)))
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		xs := []logged{{File: file, X: 2}, {File: file, X: 3}}
		mapped := func(ex futures.Executor, j *journal.Journal, n int) {
			t.Helper()
			var got []int
			for v, err := range futures.Map(within(t), ex, squareLogged, xs, futures.WithJournal(j)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if !slices.Equal(got, []int{4 * n, 9 * n}) {
				t.Errorf("with %d: %v", n, got)
			}
		}
		recorded(t, path, func(j *journal.Journal) {
			for i, n := range []int{1, 5, 1, 5} {
				if i > 0 {
					set(t, ex, factor, by(n))
				}
				mapped(ex, j, n)
			}
			mustClose(t, ex)
		})
		before := runs(t, file)
		ex = b.start(t, 2, futures.WithGlobal(factor, by(5))) // as if it had been set
		recorded(t, path, func(j *journal.Journal) {
			mapped(ex, j, 5)
			set(t, ex, factor, by(9))
			if v := result(t, submit(t, ex, squareLogged, xs[0], futures.WithJournal(j))); v != 36 {
				t.Error(v)
			}
			mustClose(t, ex)
		})
		if n := runs(t, file) - before; n != 1 {
			t.Errorf("%d calls ran, and all but one were recorded", n)
		}
	})
}

var (
	unwillingSet  = futures.RegisterGlobal[unwilling]("set.unwilling")
	readUnwilling = futures.RegisterContext("set.readUnwilling", func(ctx context.Context, _ int) (string, error) {
		p, err := unwillingSet.Get(ctx)
		return p.How, err
	})
)

// unwilling cannot be encoded, or decoded, if it says so.
type unwilling struct{ How string }

func (p unwilling) MarshalBinary() ([]byte, error) {
	if p.How == "not encoded" {
		return nil, errors.New("it does not want to leave")
	}
	return []byte(p.How), nil
}

func (p *unwilling) UnmarshalBinary(b []byte) error {
	switch p.How = string(b); p.How {
	case "not decoded":
		return errors.New("it does not want to come")
	case "panics":
		panic("it panics")
	case "exits":
		runtime.Goexit()
	}
	return nil
}

func TestAValueThatCannotBeSetIsAnErrorAndTheOldOneStays(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithGlobal(unwillingSet, unwilling{"first"}))
		says := func(err error, is error, words ...string) {
			t.Helper()
			for _, w := range append(words, `futures: global "`, "is not set") {
				if err == nil || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), w) {
					t.Fatalf("%v says nothing of %q, or is not %v", err, w, is)
				}
			}
		}
		says(alsoSet.Set(ex, 1), futures.ErrGlobalNotSet, `"set.alsoSet"`, "WithGlobal")
		says(unwillingSet.Set(ex, unwilling{"not encoded"}), nil, "cannot be encoded", "does not want to leave")
		for how, text := range map[string]string{"not decoded": "does not want to come", "panics": "it panics", "exits": "Goexit"} {
			err := unwillingSet.Set(ex, unwilling{how})
			if !b.apart {
				says(err, nil, text)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := submit(t, ex, readUnwilling, 0).Result(within(t))
				remote := (*futures.RemoteError)(nil)
				if !errors.As(err, &remote) || !contains(err, text) {
					t.Errorf("%s: %v", how, err)
				}
			}
			set(t, ex, unwillingSet, unwilling{"first"})
		}
		if v := result(t, submit(t, ex, readUnwilling, 0)); v != "first" {
			t.Error(v)
		}
		mustClose(t, ex)
		says(unwillingSet.Set(ex, unwilling{"late"}), futures.ErrShutdown)
	}, alone)
}

func TestAValueIsSetBeforeTheStartOfTheWorkersToo(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		set(t, ex, current, newEdition(4))
		for range 4 {
			if v := result(t, submit(t, ex, readEdition, awaiting{})); v.Before != 4 || v.State != 4 || v.Other != 3 {
				t.Errorf("%+v", v)
			}
		}
	}, futures.WithGlobal(current, newEdition(1)), futures.WithGlobal(alsoSet, 3))
}

func TestABrokenExecutorAndATaskOfTheExecutorItselfCannotSetAValue(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithGlobal(alsoSet, 1), futures.WithInitializer(failsToStart, 0))
		if err := ex.Bootup(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Fatal(err)
		}
		if err := alsoSet.Set(ex, 2); !errors.Is(err, futures.ErrBroken) || !contains(err, "is not set") {
			t.Error(err)
		}
	}, alone)
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1), futures.WithGlobal(alsoSet, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	f := submit(t, ex, futures.Local(func(context.Context, int) (bool, error) { return true, alsoSet.Set(ex, 2) }), 0)
	if _, err := f.Result(within(t)); !contains(err, "a task cannot set it for its own executor") {
		t.Error(err)
	}
}

var failsToStart = futures.Register("set.failsToStart", func(int) (bool, error) { return false, errors.New("it does not start") })
