package ours

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// withOverhead is the share of useful time of a pool that spends so much on each task.
func withOverhead(overhead time.Duration, calls *int) func(time.Duration) (float64, error) {
	return func(length time.Duration) (float64, error) {
		*calls++
		return float64(length) / float64(length+overhead), nil
	}
}

func TestTheShortestTaskIsAsLongAsTheOverhead(t *testing.T) {
	for _, overhead := range []time.Duration{33, 150, 2100, 47_000, 1_234_567, 19 * time.Millisecond} {
		calls := 0
		half, found, err := shortestHalf(withOverhead(overhead, &calls))
		if err != nil || !found || math.Abs(float64(half)/float64(overhead)-1) > 0.02 {
			t.Errorf("%v of overhead: half of the time is useful at %v, %v, %v", overhead, half, found, err)
		}
		if calls > 6 {
			t.Errorf("%v of overhead: %d lengths were tried", overhead, calls)
		}
	}
}

func TestADipThatStaysAboveOneHalfDoesNotChangeTheShortestTask(t *testing.T) {
	half, found, err := shortestHalf(func(length time.Duration) (float64, error) {
		if length > 50*time.Microsecond && length < 200*time.Microsecond {
			return 0.6, nil
		}
		return float64(length) / float64(length+400), nil
	})
	if err != nil || !found || math.Abs(float64(half)/400-1) > 0.02 {
		t.Error(half, found, err)
	}
}

func TestAShortestTaskBeyondWhatIsTriedIsNotMadeUp(t *testing.T) {
	calls := 0
	if half, found, err := shortestHalf(withOverhead(25*time.Millisecond, &calls)); found || err != nil {
		t.Error(half, err)
	}
	if half, found, err := shortestHalf(withOverhead(1, &calls)); !found || half != shortest || err != nil {
		t.Error(half, found, err)
	}
	if _, _, err := shortestHalf(func(time.Duration) (float64, error) { return 0, errRefused }); !errors.Is(err, errRefused) {
		t.Error(err)
	}
}

func TestTheGrainHasAShareForEveryWayAndLength(t *testing.T) {
	ctx := testkit.Within(t)
	job := Job{Backend: "threads", Workers: 1}
	ex, err := open(ctx, job.Backend, job.Workers, job.Slots)
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	b := &bench{job: job, ex: ex, settings: map[string]string{"ms": "1"}, values: map[string]float64{}}
	if err := grain(ctx, b); err != nil || b.bad != nil {
		t.Fatal(err, b.bad)
	}
	for _, way := range GrainWays {
		for _, length := range GrainShares {
			if share, ok := b.values[GrainShare(way, length)]; !ok || share <= 0 {
				t.Errorf("%s with tasks of %v: %v", way, length, share)
			}
			delete(b.values, GrainShare(way, length))
		}
		delete(b.values, GrainHalf(way)) // on a machine that is busy not even the longest task may be long enough
	}
	if len(b.values) > 0 {
		t.Errorf("and %v", b.values)
	}
}

func TestATaskOfTheGrainLastsAtLeastAsLongAsItShould(t *testing.T) {
	const length = time.Millisecond
	begin := time.Now()
	if _, err := toils(int(length)); err != nil || time.Since(begin) < length {
		t.Error(time.Since(begin), err)
	}
	if each, err := paces(3); err != nil || each <= 0 {
		t.Error(each, err)
	}
	if turns(1000, 1) == turns(1001, 1) {
		t.Error("a turn more makes no difference")
	}
}
