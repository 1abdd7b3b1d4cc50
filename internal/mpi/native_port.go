//go:build mpi && cgo && !mpiload

package mpi

/*
#cgo noescape rp_port_poll
#cgo nocallback rp_port_poll
#include "port.h"
*/
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// The mirrors in port.go have the layout of port.h, or this does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(pageHead{})-C.sizeof_rp_page]
	_ = [1]struct{}{}[unsafe.Sizeof(portOp{})-C.sizeof_rp_op]
	_ = [1]struct{}{}[unsafe.Sizeof(portEvent{})-C.sizeof_rp_event]
	_ = [1]struct{}{}[unsafe.Offsetof(pageHead{}.lost)-unsafe.Offsetof(C.rp_page{}.lost)]
	_ = [1]struct{}{}[unsafe.Offsetof(portOp{}.message)-unsafe.Offsetof(C.rp_op{}.message)]
	_ = [1]struct{}{}[unsafe.Offsetof(portEvent{}.token)-unsafe.Offsetof(C.rp_event{}.token)]
)

// rawPort is the C side of a port.
type rawPort struct {
	port    *C.rp_port
	address C.uintptr_t // of port: a call with a number has nothing to check, and Poll is called all the time
	events  *portEvent
}

func rawPortNew(comm uintptr, o PortOptions, peers int) (rawPort, *atomic.Int32) {
	p := C.rp_port_new(C.uintptr_t(comm), C.int(o.Tag), C.int64_t(o.Eager), C.int64_t(o.Arena), C.int(o.Events), C.int(peers), C.int(o.Posted), C.int64_t(o.Longest))
	if p == nil {
		return rawPort{}, nil
	}
	return rawPort{p, C.uintptr_t(uintptr(unsafe.Pointer(p))), (*portEvent)(unsafe.Pointer(C.rp_port_events(p)))}, (*atomic.Int32)(C.rp_port_kick(p))
}

func rawPortPoll(p rawPort, first *pageHead, events int, spin time.Duration) int {
	return int(C.rp_port_poll(p.address, C.uintptr_t(uintptr(unsafe.Pointer(first))), C.int(events), C.int64_t(spin)))
}

func rawPortEvent(p rawPort, i int) *portEvent {
	return (*portEvent)(unsafe.Add(unsafe.Pointer(p.events), i*C.sizeof_rp_event))
}

// rawPortData is the received message, in the port's memory: C's, which the garbage collector ignores.
func rawPortData(_ rawPort, e *portEvent) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&e.ptr)), e.len)
}

func rawPortAbandon(p rawPort, peer, events int) int {
	return int(C.rp_port_abandon(p.port, C.int(peer), C.int(events)))
}

func rawPortCancel(p rawPort)     { C.rp_port_cancel(p.port) }
func rawPortWithdraw(p rawPort)   { C.rp_port_withdraw(p.port) }
func rawPortPosted(p rawPort) int { return int(C.rp_port_posted(p.port)) }
func rawPortFree(p rawPort)       { C.rp_port_free(p.port) }

func rawPageNew(n int64) *pageHead     { return (*pageHead)(unsafe.Pointer(C.rp_page_new(C.int64_t(n)))) }
func rawPageFree(h *pageHead)          { C.rp_page_free((*C.rp_page)(unsafe.Pointer(h))) }
func rawStageNew(n int) unsafe.Pointer { return C.rp_stage_new(C.int64_t(n)) }
func rawStageFree(p unsafe.Pointer)    { C.rp_stage_free(p) }
