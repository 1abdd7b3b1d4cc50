package resultlog_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

func TestAPlaceThatWasGivenBackIsThatOfTheNextEqualCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for round := range 2 {
		l := open(t, path, resultlog.Options{})
		f := function(t, l, "f")
		k, other := f.Key(argument(1), nil), f.Key(argument(2), nil)
		submit := func(k resultlog.Key) resultlog.Entry {
			_, e := l.Submit(f, k)
			return e
		}
		first, second := submit(k), submit(k)
		if first.Key() == second.Key() {
			t.Fatal("equal calls have one entry")
		}
		l.GiveBack(first.Place())
		l.GiveBack(second.Place())
		l.GiveBack(resultlog.Place{}) // of a call that is not recorded
		if e := submit(other); e.Key() == first.Key() || e.Key() == second.Key() {
			t.Error("a call with another argument gets it")
		}
		for _, want := range []resultlog.Entry{first, second} {
			if e := submit(k); e.Key() != want.Key() {
				t.Errorf("round %d: %v, not %v", round, e, want)
			}
		}
		third := submit(k)
		if third.Key() == first.Key() || third.Key() == second.Key() || third.Recorded() != (round == 1) {
			t.Errorf("round %d: the third is %v", round, third)
		}
		l.Record(f, third.Key(), result(3), nil)
		l.GiveBack(third.Place())
		if e := submit(k); e != third {
			t.Errorf("round %d: it is %v, not %v", round, e, third)
		}
		closeLog(t, l)
	}
}

func TestPlacesAreGivenBackInAnyOrderAndTakenInTheirOwn(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{})
	defer closeLog(t, l)
	f := function(t, l, "f")
	k := f.Key(argument(1), nil)
	var keys []resultlog.Key           // of the places, from the first on
	taken := map[int]resultlog.Place{} // by their numbers
	for range 20_000 {
		if len(taken) > 0 && rand.IntN(2) == 0 {
			for n, p := range taken { // any
				l.GiveBack(p)
				delete(taken, n)
				break
			}
			continue
		}
		n := 0
		for _, is := taken[n]; is; _, is = taken[n] {
			n++
		}
		key, e := l.Submit(f, k)
		if n == len(keys) {
			keys = append(keys, key)
		}
		if at := slices.Index(keys, key); at != n {
			t.Fatalf("with %d taken it has place %d, not %d", len(taken), at, n)
		}
		taken[n] = e.Place()
	}
	for _, p := range taken {
		l.GiveBack(p)
	}
	if n := resultlog.Free(l); n > 0 {
		t.Errorf("all are free, and %d runs of places are kept", n)
	}
}

// A program with many calls is told to end: what each of them gives back must not take the memory that the index saves.
func TestPlacesThatAreGivenBackTakeNoMemory(t *testing.T) {
	const calls = 50_000
	for name, argumentOf := range map[string]func(int) int{"different": func(i int) int { return i }, "equal": func(int) int { return 0 }} {
		l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{})
		f := function(t, l, "f")
		var places []resultlog.Place
		for i := range calls {
			_, e := l.Submit(f, f.Key(argument(argumentOf(i)), nil))
			places = append(places, e.Place())
		}
		keys, _ := l.Size()
		for _, p := range places[:calls-1] {
			l.GiveBack(p)
		}
		if n, most := resultlog.Free(l), 1; n > most {
			t.Errorf("%s arguments: %d runs of places are kept", name, n)
		}
		if after, _ := l.Size(); after != keys {
			t.Errorf("%s arguments: the index has %d entries, and had %d", name, after, keys)
		}
		closeLog(t, l)
	}
}
