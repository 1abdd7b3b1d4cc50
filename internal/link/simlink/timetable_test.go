package simlink

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestEventsComeInTheOrderOfTheirTimesAndThenOfTheirNumbers(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		var table timetable
		number, left, last := uint64(0), 0, event{}
		for left > 0 || number < 40_000 {
			if number < 40_000 && (number < 5000 || left == 0 || chance.IntN(2) > 0) {
				number++
				table.put(event{at: last.at + time.Duration(chance.IntN(1000)*chance.IntN(1000)), number: number})
				left++
				continue
			}
			at, ok := table.first()
			e := table.take()
			if left--; !ok || e.at != at || e.before(&last) {
				t.Fatalf("%v, number %d, came after %v, number %d", e.at, e.number, last.at, last.number)
			}
			last = e
		}
		if _, ok := table.first(); ok {
			t.Fatal("more came out than was put in")
		}
	}
}
