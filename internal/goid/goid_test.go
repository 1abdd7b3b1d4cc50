package goid_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/goid"
)

func TestEveryGoroutineHasItsOwnNumber(t *testing.T) {
	me := goid.Get()
	if me == 0 || me != goid.Get() {
		t.Errorf("%d, and then %d", me, goid.Get())
	}
	other := make(chan uint64)
	go func() { other <- goid.Get() }()
	if n := <-other; n == 0 || n == me {
		t.Errorf("%d is another goroutine's, this one's is %d", n, me)
	}
}
