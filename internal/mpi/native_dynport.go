//go:build mpi && cgo && !mpiload

package mpi

/*
#include <stdlib.h>
#include "dynport.h"
*/
import "C"

import (
	"bytes"
	"unsafe"
)

// portName gives f room for the name of a port, and returns what f left there.
func portName(f func(*C.char) C.int) (string, int) {
	buf := make([]byte, int(C.rp_port_name_size())+1)
	rc := f((*C.char)(unsafe.Pointer(&buf[0])))
	name, _, _ := bytes.Cut(buf, []byte{0})
	return string(name), int(rc)
}

// withString hands s to f as C has it.
func withString(s string, f func(*C.char) C.int) int {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	return int(f(c))
}

func rawPortNameSize() int { return int(C.rp_port_name_size()) }

func rawOpenPort() (string, int) {
	return portName(func(buf *C.char) C.int { return C.rp_open_port(buf) })
}

func rawClosePort(port string) int {
	return withString(port, func(p *C.char) C.int { return C.rp_close_port(p) })
}

func rawAccept(h uintptr, port string, root int) (uintptr, int) {
	var out C.uintptr_t
	rc := withString(port, func(p *C.char) C.int { return C.rp_accept(p, C.int(root), C.uintptr_t(h), &out) })
	return uintptr(out), rc
}

func rawConnect(h uintptr, port string, root int, info []InfoPair) (uintptr, int) {
	var keys, values []string
	for _, p := range info {
		keys, values = append(keys, p.Key), append(values, p.Value)
	}
	k, free := cStrings(keys)
	defer free()
	v, free := cStrings(values)
	defer free()
	var out C.uintptr_t
	rc := withString(port, func(p *C.char) C.int {
		return C.rp_connect(p, C.int(root), C.uintptr_t(h), C.int(len(info)), k, v, &out)
	})
	return uintptr(out), rc
}

func rawPublish(service, port string) int {
	return withString(service, func(s *C.char) C.int {
		return C.int(withString(port, func(p *C.char) C.int { return C.rp_publish(s, p) }))
	})
}

func rawUnpublish(service, port string) int {
	return withString(service, func(s *C.char) C.int {
		return C.int(withString(port, func(p *C.char) C.int { return C.rp_unpublish(s, p) }))
	})
}

func rawLookup(service string) (port string, code int) {
	withString(service, func(s *C.char) C.int {
		port, code = portName(func(buf *C.char) C.int { return C.rp_lookup(s, buf) })
		return 0
	})
	return port, code
}
