//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"runtime"
	"syscall"
	"unsafe"
)

// sigset is a set of signals as the kernel has it.
type sigset uint64

func (s sigset) without(signals ...syscall.Signal) sigset {
	for _, n := range signals {
		s &^= 1 << (n - 1)
	}
	return s
}

// What glibc keeps for itself: it ends a thread by the one, and changes the user of all threads by the other. Its own functions neither
// block them nor show their actions, and it installs these once, when they are first needed.
const (
	sigCancel = syscall.Signal(32)
	sigSetXID = syscall.Signal(33)
)

// The first argument of sigprocmask.
const (
	sigBlock   = 0
	sigSetMask = 2
)

// maskSignals changes the mask of this thread, which the goroutine must be locked to, and returns what it was.
func maskSignals(how uintptr, set sigset) (old sigset) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, how, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(set), 0, 0)
	return old
}

// calmThread blocks all signals but those that a thread brings upon itself, glibc's, and SIGPROF, which Go's profiler knows how to take
// there, for this thread and those that a library starts from it. Threads of a library are to take no signal: Go's handler on a thread that
// Go did not make gives what nobody has asked for its default action, so that a SIGUSR1 ends the process when the kernel picks such a
// thread for it, which it does after a SIGCONT. The goroutine stays locked to the thread.
func calmThread() (old sigset) {
	runtime.LockOSThread()
	return maskSignals(sigBlock, (^sigset(0)).without(syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP,
		syscall.SIGABRT, syscall.SIGSYS, syscall.SIGPROF, sigCancel, sigSetXID))
}

// quiet runs a call with SIGURG blocked, by which Go preempts goroutines: it can interrupt a system call that a library does not
// retry. That costs 300 ns, so only calls that take longer anyway are wrapped; never one that starts a process, which would inherit it.
func quiet(call func() int) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old := maskSignals(sigBlock, 1<<(syscall.SIGURG-1))
	code := call()
	maskSignals(sigSetMask, old)
	return code
}

// action is a signal's, as the kernels of amd64 and arm64 have it.
type action struct{ handler, flags, restorer, mask uintptr }

const signals = 65

// actions are those of all signals; known tells which could be read, and are not glibc's.
type actions struct {
	of    [signals]action
	known [signals]bool
}

func signalAction(signal int, change, old *action) bool {
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(change)), uintptr(unsafe.Pointer(old)),
		unsafe.Sizeof(sigset(0)), 0, 0)
	return e == 0
}

func signalActions() *actions {
	a := new(actions)
	for s := 1; s < signals; s++ {
		if n := syscall.Signal(s); n == sigCancel || n == sigSetXID {
			continue
		}
		a.known[s] = signalAction(s, nil, &a.of[s])
	}
	return a
}

// putBack puts back what differs, and returns what that was. Go's handlers must run on the signal stack (SA_ONSTACK); what a library
// installs instead does not ask for it, and the next such signal on a goroutine's thread ends the program.
func (a *actions) putBack() (changed []int) {
	for s := 1; s < signals; s++ {
		var now action
		if !a.known[s] || !signalAction(s, nil, &now) || now.handler == a.of[s].handler && now.flags == a.of[s].flags {
			continue
		}
		if signalAction(s, &a.of[s], nil) {
			changed = append(changed, s)
		}
	}
	return changed
}
