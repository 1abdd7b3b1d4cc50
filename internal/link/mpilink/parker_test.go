package mpilink

import (
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestUnparkEndsEveryKindOfPark(t *testing.T) {
	p := newParker()
	for name, rest := range map[string]func(){
		"park": p.park,
		"long parkFor": func() {
			for !p.parkFor(testkit.Limit) { // a token was left
			}
		},
		"short parkFor": func() {
			for !p.parkFor(longPark - 1) { // it was over, or a signal has ended it
			}
		},
	} {
		for range 200 {
			var unparked sync.WaitGroup
			unparked.Go(p.unpark) // before the park or during it
			done := make(chan struct{})
			go func() {
				defer close(done)
				rest()
			}()
			select {
			case <-done:
			case <-time.After(testkit.Limit):
				t.Fatalf("a %s was not ended by unpark", name)
			}
			unparked.Wait()
		}
	}
}

func TestUnparksBeforeAParkCountAsOne(t *testing.T) {
	p := newParker()
	p.unpark()
	p.unpark()
	if !p.parkFor(testkit.Limit) {
		t.Error("the park was not ended by the unparks before it")
	}
	if p.parkFor(time.Millisecond) {
		t.Error("a park was ended by unparks that an earlier one had used")
	}
}

func TestAParkEndsWhenItsTimeIsOver(t *testing.T) {
	p := newParker()
	begin := time.Now()
	for range 20 {
		if p.parkFor(50 * time.Microsecond) {
			t.Fatal("nothing unparks it")
		}
	}
	t.Logf("a park of 50 us took %v", time.Since(begin)/20)
}
