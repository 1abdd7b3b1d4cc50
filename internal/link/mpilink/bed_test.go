package mpilink

import (
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestACallEndsANapAndASleep(t *testing.T) {
	b := newBed()
	for name, rest := range map[string]func(){
		"sleep": b.sleep,
		"long nap": func() {
			for !b.nap(testkit.Limit) { // a token was left
			}
		},
		"short nap": func() {
			for !b.nap(longNap - 1) { // it was over, or a signal has ended it
			}
		},
	} {
		for range 200 {
			var called sync.WaitGroup
			called.Go(b.call) // before it, during it: it must be heard
			done := make(chan struct{})
			go func() {
				defer close(done)
				rest()
			}()
			select {
			case <-done:
			case <-time.After(testkit.Limit):
				t.Fatalf("a %s did not hear the call", name)
			}
			called.Wait()
		}
	}
}

func TestCallsThatNobodyHeardEndOneNapTogether(t *testing.T) {
	b := newBed()
	b.call()
	b.call()
	if !b.nap(testkit.Limit) {
		t.Error("the nap that follows was not ended by the calls before it")
	}
	if b.nap(time.Millisecond) {
		t.Error("a nap was ended by calls that an earlier one had heard")
	}
}

func TestANapThatNobodyEndsIsOverInTime(t *testing.T) {
	b := newBed()
	begin := time.Now()
	for range 20 {
		if b.nap(50 * time.Microsecond) {
			t.Fatal("somebody called")
		}
	}
	t.Logf("a nap of 50 us took %v", time.Since(begin)/20)
}
