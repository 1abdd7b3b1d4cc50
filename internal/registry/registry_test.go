package registry_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/registry"
)

type job struct {
	ID   int
	Next *job
}

type stuck struct {
	Name  string
	Inner struct{ Done chan int }
}

// fn is a function entry with types that can travel.
func fn(name string) registry.Entry {
	return registry.Entry{
		Name: name, Args: reflect.TypeFor[int](), Result: reflect.TypeFor[[]byte](), Where: name + ".go:1",
	}
}

func add(t *testing.T, table *registry.Table, entries ...registry.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := table.Add(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEntryIsFoundByItsName(t *testing.T) {
	var table registry.Table
	want := fn("f")
	want.Body = "what runs it"
	want.Context = true
	for _, frozen := range []bool{false, true} {
		if frozen {
			table.Freeze("main.go:9")
		} else {
			add(t, &table, want)
		}
		got, ok := table.Lookup("f")
		if !ok || got.Body != want.Body || !got.Context || got.Where != want.Where || table.Len() != 1 {
			t.Errorf("frozen %v: got %+v", frozen, got)
		}
		if _, ok := table.Lookup("g"); ok {
			t.Errorf("frozen %v: found a name nobody added", frozen)
		}
	}
}

func TestRegistrationMistakesAreRefusedWithTheirPlaces(t *testing.T) {
	var table registry.Table
	add(t, &table, fn("f"))
	again := fn("f")
	again.Where = "other.go:7"
	nameless := fn("")
	nameless.Where = "here.go:3"
	args, result, none := fn("args"), fn("result"), fn("none")
	args.Args = reflect.TypeFor[stuck]()
	result.Result = reflect.TypeFor[map[string]func()]()
	none.Args = nil
	for _, c := range []struct {
		e    registry.Entry
		want []string
	}{
		{again, []string{`function "f"`, "f.go:1", "other.go:7", "another name"}},
		{nameless, []string{"here.go:3", "no name"}},
		{args, []string{`"args"`, "args.go:1", "argument type registry_test.stuck", "Inner.Done", "chan"}},
		{result, []string{`"result"`, "result type map[string]func()", "func"}},
		{none, []string{"has no type"}},
		{registry.Entry{Kind: 99, Name: "x"}, []string{"unknown kind 99"}},
	} {
		err := table.Add(c.e)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: got %v, want one that names %q", c.e.Name, err, w)
			}
		}
	}
	if table.Len() != 1 {
		t.Errorf("%d entries after the refusals", table.Len())
	}
}

func TestAfterFreezeTheErrorNamesWhereMainBegan(t *testing.T) {
	var table registry.Table
	table.Freeze("main.go:12")
	table.Freeze("elsewhere.go:1")
	err := table.Add(fn("late"))
	for _, w := range []string{`"late"`, "late.go:1", "main.go:12", "package-level"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want one that names %q", err, w)
		}
	}
	if !table.Frozen() || table.FrozenAt() != "main.go:12" || table.Len() != 0 {
		t.Errorf("frozen at %q with %d entries", table.FrozenAt(), table.Len())
	}
}

func TestAnIndexIsThePositionAmongSortedNames(t *testing.T) {
	var a, b registry.Table
	names := []string{"zeta", "alpha", "mid"}
	for i := range names {
		add(t, &a, fn(names[i]))
		add(t, &b, fn(names[len(names)-1-i]))
	}
	global := fn("beta")
	global.Kind = registry.Global
	add(t, &a, global)
	if _, ok := a.At(0); ok {
		t.Error("an index is valid before Freeze")
	}
	if e, _ := a.Lookup("mid"); e.Index != -1 {
		t.Errorf("index %d before Freeze", e.Index)
	}
	a.Freeze("")
	b.Freeze("")
	for i, name := range []string{"alpha", "mid", "zeta"} {
		for side, table := range map[string]*registry.Table{"a": &a, "b": &b} {
			if e, ok := table.At(i); !ok || e.Name != name || e.Index != i {
				t.Errorf("%s: At(%d) is %+v, want %s", side, i, e, name)
			}
		}
	}
	for _, i := range []int{-1, 3, math.MaxInt} {
		if _, ok := a.At(i); ok {
			t.Errorf("At(%d) finds something", i)
		}
	}
}

func TestEachKindHasNamesOfItsOwn(t *testing.T) {
	var table registry.Table
	for _, k := range []registry.Kind{registry.Function, registry.Global, registry.ErrorType, registry.Type} {
		e := fn("same")
		e.Kind = k
		add(t, &table, e)
		if got, ok := table.Find(k, "same"); !ok || got.Kind != k {
			t.Errorf("%v: got %+v", k, got)
		}
		if err := table.Add(e); err == nil || !strings.Contains(err.Error(), k.String()+` "same"`) {
			t.Errorf("%v: taken name gives %v", k, err)
		}
		if n := len(table.Entries(k)); n != 1 {
			t.Errorf("%v: %d entries", k, n)
		}
	}
	if _, ok := table.Find(99, "same"); ok || table.Entries(99) != nil {
		t.Error("an unknown kind has entries")
	}
}

func TestLookupsAndRegistrationsMayRunTogether(t *testing.T) {
	var table registry.Table
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				_ = table.Add(fn(fmt.Sprint(i, "-", j)))
				table.Lookup(fmt.Sprint(i, "-", j))
				table.Len()
				table.At(j)
				table.Entries(registry.Function)
			}
			table.Freeze("somewhere")
			if e, ok := table.At(0); !ok || e.Index != 0 {
				t.Errorf("At(0) after Freeze is %+v", e)
			}
		})
	}
	wg.Wait()
}

func TestCallerNamesTheLineThatCalledIn(t *testing.T) {
	where := registerHere()
	if !strings.Contains(where, "registry_test.go:") {
		t.Errorf("got %q", where)
	}
	if registry.Caller(1000) != "" {
		t.Error("a frame that does not exist has a place")
	}
}

func registerHere() string { return registry.Caller(0) }

func TestDefaultIsOneTable(t *testing.T) {
	first := registry.Default()
	if first == nil || first != registry.Default() {
		t.Error("it is not")
	}
	if d := cmp.Diff(0, registry.Default().Len()); d != "" {
		t.Error(d)
	}
}
