package futex_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/futex"
)

func TestAWaitEndsWithAWakeWithALimitAndAtOnceForAnotherValue(t *testing.T) {
	var word, waits atomic.Uint32
	over := make(chan struct{})
	go func() {
		defer close(over)
		for word.Load() == 0 {
			waits.Store(1)
			futex.Wait(&word, 0, time.Hour)
		}
	}()
	for waits.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	word.Store(1) // a wait that begins only now ends at once
	for woken := false; !woken; {
		futex.Wake(&word)
		select {
		case <-over:
			woken = true
		case <-time.After(time.Millisecond):
		}
	}
	futex.Wait(&word, 0, time.Hour)
	begin := time.Now()
	for time.Since(begin) < 10*time.Millisecond { // signals may end it
		futex.Wait(&word, 1, 10*time.Millisecond)
	}
}
