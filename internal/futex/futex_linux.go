package futex

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2).
const (
	opWait = 0
	opWake = 1
)

// A limit is exceeded by up to this part of it, and no more than is usual.
const (
	exact = 16
	usual = 50 * time.Microsecond
)

// Wait blocks its thread until somebody wakes the word, or until the limit; not at all when the word is not value. Signals
// that Go sends its threads end it too early, so callers look at the word again.
//
// The thread's timers are made as exact as that needs, and stay so: the kernel would add 50 µs to a limit that may be 20.
func Wait(word *atomic.Uint32, value uint32, limit time.Duration) {
	t := unix.NsecToTimespec(int64(limit))
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(max(1, min(limit/exact, usual))), 0)
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWait, uintptr(value), uintptr(unsafe.Pointer(&t)), 0, 0)
}

// Wake wakes one thread that waits for the word.
func Wake(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), opWake, 1, 0, 0, 0)
}
