//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// cLibrary is what this package calls of libc.
type cLibrary struct {
	malloc, free, setenv, exit, atExit, flush uintptr
	semInit, semPost, semWait, semTimedWait   uintptr
}

var standardC *cLibrary

// libc finds libc's functions, once.
func libc() (*cLibrary, error) {
	if standardC != nil {
		return standardC, nil
	}
	c, all := new(cLibrary), clib.Process()
	if _, there := clib.Loaded("libc.so.6"); !there {
		return nil, errors.New("mpi: this program is linked statically, and such a program cannot load an MPI library: build it without -static, " +
			"or with CGO_ENABLED=0")
	}
	if all.Symbol("gnu_get_libc_version") == 0 {
		return nil, fmt.Errorf("mpi: the C library of this process is %s and not glibc, which a program that uses MPI needs: "+
			"start it on a system with glibc", mappedAt(all.Symbol("malloc")))
	}
	for name, at := range map[string]*uintptr{
		"malloc": &c.malloc, "free": &c.free, "setenv": &c.setenv, "exit": &c.exit, "__cxa_atexit": &c.atExit, "fflush": &c.flush,
		"sem_init": &c.semInit, "sem_post": &c.semPost, "sem_wait": &c.semWait, "sem_timedwait": &c.semTimedWait,
	} {
		if *at = all.Symbol(name); *at == 0 {
			return nil, fmt.Errorf("mpi: the C library of this system has no %s: glibc is needed", name)
		}
	}
	standardC = c
	return c, nil
}

// rawStageNew is memory of C, or nil.
func rawStageNew(n int) unsafe.Pointer {
	c := clib.Call{Func: standardC.malloc}
	c.Args[0] = uintptr(max(n, 1))
	clib.Run(unsafe.Slice(&c, 1), 1, nil)
	return *(*unsafe.Pointer)(unsafe.Pointer(&c.Result))
}

func rawStageFree(p unsafe.Pointer) { clib.Do(standardC.free, uintptr(p)) }

// set sets a variable for C alone, unless it is set: programs that this one starts are not to have it.
func (c *cLibrary) set(name, value string) {
	n, v := append([]byte(name), 0), append([]byte(value), 0)
	clib.Do(c.setenv, uintptr(unsafe.Pointer(&n[0])), uintptr(unsafe.Pointer(&v[0])), 0)
}

// tameUCX keeps UCX from turning a nil dereference, which Go recovers from, into an abort of its own. It reads its variables when it is
// loaded. Where that has happened it was before Go installed its handlers, which prevail then, and setting the variables now would
// only make every rank print that they are unused.
func (c *cLibrary) tameUCX() {
	if _, there := clib.Loaded("libucs.so.0"); there {
		return
	}
	c.set("UCX_ERROR_SIGNALS", "")
	c.set("UCX_HANDLE_ERRORS", "none")
}

// The end of a process. Go's has to come after libc's, and libc's exit does not return. So it runs on a thread of its own, and stays in
// the last of its handlers. Those run in the reverse order of their registration, so ours are registered when this package is initialised:
// before anything in Go that could register one, load a library or initialise MPI. Only constructors in C come earlier; their handlers are
// left out, as at the end of any Go program.
var ending struct {
	block *[2][4]uint64 // two semaphores of C, 32 bytes each in glibc
}

func init() {
	if c, err := libc(); err == nil { // else no MPI can be loaded, and Init says why
		c.prepareExit()
	}
}

func (c *cLibrary) prepareExit() {
	ending.block = (*[2][4]uint64)(rawStageNew(int(unsafe.Sizeof(*ending.block))))
	may, done := uintptr(unsafe.Pointer(&ending.block[0])), uintptr(unsafe.Pointer(&ending.block[1]))
	clib.Do(c.semInit, may, 0, 1)
	clib.Do(c.semInit, done, 0, 0)
	clib.Do(c.atExit, c.semWait, may, 0) // passes when another one has called exit: the race detector
	clib.Do(c.atExit, c.semPost, done, 0)
	clib.Do(c.atExit, c.flush, 0, 0)
}

// rawRunExitHandlers runs what libc runs at the end of a process, and returns when that is done, or after the limit. The process must
// end then.
func rawRunExitHandlers(status int, limit time.Duration) {
	c := standardC
	may, done := uintptr(unsafe.Pointer(&ending.block[0])), uintptr(unsafe.Pointer(&ending.block[1]))
	exit := func() {
		calmThread() // and stay on it
		clib.Do(c.exit, uintptr(status))
	}
	clib.Do(c.semWait, may)
	go exit()
	end := syscall.NsecToTimespec(time.Now().Add(limit).UnixNano())
	for time.Now().UnixNano() < end.Nano() && clib.Do(c.semTimedWait, done, uintptr(unsafe.Pointer(&end))) != 0 {
	}
}
