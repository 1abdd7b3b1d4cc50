package lane_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// limit bounds every wait, against hanging.
var limit = testkit.Limit

func drained(t *testing.T, l *lane.Lane) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFunctionsRunOneAfterAnotherInTheirOrderAlsoAfterOneThatDoesNotReturn(t *testing.T) {
	l := lane.Lane{Panicked: func(any) {}}
	var got []int
	for i := range 10 {
		l.Add(func() {
			got = append(got, i)
			switch i {
			case 3:
				panic("told to")
			case 6:
				runtime.Goexit()
			}
		})
	}
	drained(t, &l)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got); diff != "" {
		t.Error(diff)
	}
	if n := l.Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestDrainWaitsForWhatWasAddedBeforeAndNotForWhatComesLater(t *testing.T) {
	var l lane.Lane
	first, later := make(chan struct{}), make(chan struct{})
	l.Add(func() { <-first })
	over := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		over <- l.Drain(context.Background())
	}()
	<-began
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := l.Drain(ctx); !errors.Is(err, cause) {
		t.Errorf("Drain with an ended context: %v", err)
	}
	close(first)
	if err := <-over; err != nil {
		t.Error(err)
	}
	l.Add(func() { <-later })
	close(later)
	drained(t, &l)
}

func TestAFunctionMayDrainItsOwnLane(t *testing.T) {
	var l lane.Lane
	l.Add(func() {
		if err := l.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	drained(t, &l)
}

func TestAFunctionWaitsForAnotherLaneThatItDrains(t *testing.T) {
	var a, b lane.Lane
	began, release := make(chan struct{}), make(chan struct{})
	b.Add(func() { close(began); <-release })
	<-began
	drain := make(chan error, 1)
	a.Add(func() {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errEnough)
		if err := b.Drain(ctx); !errors.Is(err, errEnough) {
			t.Errorf("with a function at work and an ended context: %v", err)
		}
		close(release)
		drain <- b.Drain(context.Background())
	})
	if err := <-drain; err != nil {
		t.Error(err)
	}
	drained(t, &a)
}

var errEnough = errors.New("enough")

// Of lanes that wait for each other in a ring the last one does not.
func TestFunctionsOfSeveralLanesMayDrainEachOther(t *testing.T) {
	var lanes [3]lane.Lane
	var all sync.WaitGroup
	all.Add(len(lanes))
	for i := range lanes {
		lanes[i].Add(func() {
			all.Done()
			all.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if err := lanes[(i+1)%len(lanes)].Drain(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range lanes {
		drained(t, &lanes[i])
	}
}
