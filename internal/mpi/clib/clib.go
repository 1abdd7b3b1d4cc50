//go:build linux && (amd64 || arm64)

package clib

import (
	"unsafe"

	"github.com/ebitengine/purego"
)

// Supported tells whether this package works on this system.
const Supported = true

// Library is one that is loaded. It stays until the process ends.
type Library struct{ handle uintptr }

// The flags of dlopen in glibc and musl.
const noLoad = 0x4

// Open loads a library by its path, or by a name that the system searches for. Libraries that are loaded later do not see its symbols,
// see Share. The error is the system's own words.
func Open(name string) (Library, error) { return open(name, purego.RTLD_NOW|purego.RTLD_LOCAL) }

// Share lets libraries that are loaded later see the symbols of one that is loaded, and of those that it needs.
func Share(name string) error {
	_, err := open(name, purego.RTLD_NOW|purego.RTLD_GLOBAL|noLoad)
	return err
}

// Loaded returns a library if it is in the process already.
func Loaded(name string) (Library, bool) {
	l, err := open(name, purego.RTLD_NOW|noLoad)
	return l, err == nil
}

func open(name string, mode int) (Library, error) {
	h, err := purego.Dlopen(name, mode)
	return Library{h}, err
}

// Process is all that is loaded with its symbols for others: what the program is linked with, and what LD_PRELOAD names.
func Process() Library { return Library{purego.RTLD_DEFAULT} }

// Symbol returns the address of a function or variable of the library or of one that it needs, or 0.
func (l Library) Symbol(name string) uintptr {
	p, err := purego.Dlsym(l.handle, name)
	if err != nil {
		return 0
	}
	return p
}

// MaxArgs is how many arguments a call has at most.
const MaxArgs = 10

// Call is one call of a C function whose arguments and result are integers or addresses. Memory behind an address must stay where
// it is and be referred to from elsewhere until the call has returned.
type Call struct {
	Func uintptr
	Args [MaxArgs]uintptr

	// Result is all 64 bits of it. The upper half means nothing for a function that returns an int.
	Result uintptr

	// Flag is where the function leaves an int that is not 0 when it has something to say; nil for none.
	Flag *int32
}

// batch is what the loop in assembly is told. Its layout is known there.
type batch struct {
	calls  *Call
	n      uintptr
	rounds uintptr
	stop   *int32
}

// Run makes the calls in turn, the given number of rounds, and returns early: as soon as a call returns an int that is not 0, or
// leaves one in its Flag, or after a round at whose end *stop is not 0. stop may be nil. Go's scheduler takes it for a system call.
func Run(calls []Call, rounds int, stop *int32) {
	if len(calls) == 0 || rounds <= 0 {
		return
	}
	run(calls, rounds, stop)
}

// runEach is Run where there is no assembly for it. Each call is a crossing of its own.
func runEach(calls []Call, rounds int, stop *int32) {
	for range rounds {
		for i := range calls {
			c := &calls[i]
			c.Result, _, _ = purego.SyscallN(c.Func, c.Args[:]...)
			if int32(c.Result) != 0 || c.Flag != nil && *c.Flag != 0 {
				return
			}
		}
		if stop != nil && *stop != 0 {
			return
		}
	}
}

// Do makes one call and returns the int that the function returns. What the addresses among args point to stays where it is meanwhile,
// if they are written as uintptr(unsafe.Pointer(p)) in the call itself.
//
//go:uintptrescapes
func Do(function uintptr, args ...uintptr) int {
	c := Call{Func: function}
	copy(c.Args[:], args)
	do(&c)
	return int(int32(c.Result))
}

// Text copies the bytes up to a NUL from memory of C.
func Text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
