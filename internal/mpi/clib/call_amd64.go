//go:build linux

package clib

import "unsafe"

// loopAddress is the address of the loop in call_amd64.s, as C would call it.
var loopAddress uintptr

// The runtime's way into C, on the system's stack. purego calls it by the same name in all that it does, so a Go that takes the name away
// stops the build of both: see docs/mpi-notes.md.
//
//go:linkname cgocall runtime.cgocall
//go:noescape
func cgocall(function uintptr, arg unsafe.Pointer) int32

func run(calls []Call, rounds int, stop *int32) {
	b := batch{&calls[0], uintptr(len(calls)), uintptr(rounds), stop}
	cgocall(loopAddress, unsafe.Pointer(&b))
}

func do(c *Call) {
	b := batch{c, 1, 1, nil}
	cgocall(loopAddress, unsafe.Pointer(&b))
}
