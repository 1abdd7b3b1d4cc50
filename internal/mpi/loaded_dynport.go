//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"bytes"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/clib"
)

func rawPortNameSize() int { return lib.maxPort }

// portName has call leave the name of a port.
func portName(call func(name uintptr) int) (string, int) {
	s := borrow()
	defer s.giveBack()
	room := s.text[:lib.maxPort+1]
	clear(room)
	code := call(uintptr(unsafe.Pointer(&room[0])))
	name, _, _ := bytes.Cut(room, []byte{0})
	return string(name), code
}

func rawOpenPort() (string, int) {
	return portName(func(name uintptr) int { return clib.Do(lib.Open_port, lib.infoNull, name) })
}

func rawClosePort(port string) int {
	var c cStrings
	defer c.free()
	return clib.Do(lib.Close_port, c.one(port))
}

func rawAccept(h uintptr, port string, root int) (uintptr, int) {
	var c cStrings
	defer c.free()
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.commNull)
	code := clib.Do(lib.Comm_accept, c.one(port), lib.infoNull, arg(root), lib.comm(h), at(&s.a))
	return lib.made(code, &s.a)
}

func rawConnect(h uintptr, port string, root int, info []InfoPair) (uintptr, int) {
	var c cStrings
	defer c.free()
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.commNull)
	code := withInfo(info, func(info uintptr) int {
		return clib.Do(lib.Comm_connect, c.one(port), info, arg(root), lib.comm(h), at(&s.a))
	})
	return lib.made(code, &s.a)
}

func rawPublish(service, port string) int {
	var c cStrings
	defer c.free()
	return clib.Do(lib.Publish_name, c.one(service), lib.infoNull, c.one(port))
}

func rawUnpublish(service, port string) int {
	var c cStrings
	defer c.free()
	return clib.Do(lib.Unpublish_name, c.one(service), lib.infoNull, c.one(port))
}

func rawLookup(service string) (port string, code int) {
	var c cStrings
	defer c.free()
	return portName(func(name uintptr) int { return clib.Do(lib.Lookup_name, c.one(service), lib.infoNull, name) })
}
