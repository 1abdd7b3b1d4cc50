//go:build linux

package clib

import "unsafe"

// loopAddress is the address of the loop in call_amd64.s, as C would call it.
var loopAddress uintptr

// The runtime's way into C, on the system's stack. The runtime keeps this name for purego, which calls it in the same way; should it
// go, the program does not link, and runEach is there in its place.
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
