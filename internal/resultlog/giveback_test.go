package resultlog_test

import (
	"path/filepath"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

func TestTheEntriesOfRefusedCallsAreThoseOfTheNextEqualOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for round := range 2 {
		l := open(t, path, resultlog.Options{})
		f := function(t, l, "f")
		k, other := f.Key(argument(1), nil), f.Key(argument(2), nil)
		submit := func(k resultlog.Key) (resultlog.Key, bool) {
			key, e := l.Submit(f, k)
			return key, e.Recorded()
		}
		first, _ := submit(k)
		second, _ := submit(k)
		if first == second {
			t.Fatal("equal calls have one entry")
		}
		l.GiveBack(k, first)
		l.GiveBack(k, second)
		l.GiveBack(k, resultlog.Key{}) // of a call that is not recorded
		if key, _ := submit(other); key == first || key == second {
			t.Error("a call with another argument gets it")
		}
		again := map[resultlog.Key]bool{}
		for range 2 {
			key, _ := submit(k)
			again[key] = true
		}
		if !again[first] || !again[second] {
			t.Errorf("round %d: %v, not %v and %v", round, again, first, second)
		}
		third, known := submit(k)
		if third == first || third == second || known != (round == 1) {
			t.Errorf("round %d: the third has %v, recorded %v", round, third, known)
		}
		l.Record(f, third, result(3), nil)
		l.GiveBack(k, third)
		if key, known := submit(k); key != third || known != (round == 1) {
			t.Errorf("round %d: it has %v, recorded %v", round, key, known)
		}
		closeLog(t, l)
	}
}
