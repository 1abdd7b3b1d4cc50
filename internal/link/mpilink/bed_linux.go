package mpilink

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), for threads of one process.
const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

// doze blocks until rouse, until the state is not taken, or until d is over. Signals that Go sends its threads end it too
// early, which does no harm.
func (b *bed) doze(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.state)), futexWait, uintptr(taken), uintptr(unsafe.Pointer(&t)), 0, 0)
}

func (b *bed) rouse() {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.state)), futexWake, 1, 0, 0, 0)
}
