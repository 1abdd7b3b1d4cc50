package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor's time that the calling thread has used: what others have of the processor meanwhile does not count.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
