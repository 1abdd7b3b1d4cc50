//go:build mpi && cgo && !mpiload

package mpi

/*
// One MPI library is linked: the one behind the name ompi. See build/ for how that becomes MPICH.
#cgo pkg-config: ompi
#cgo noescape rp_wait
#cgo nocallback rp_wait
#cgo noescape rp_isend
#cgo nocallback rp_isend
#cgo noescape rp_irecv
#cgo nocallback rp_irecv
#include <stdlib.h>
#include "shim.h"
#include "ulfm.h"
*/
import "C"

import (
	"os"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
)

// loads tells whether this program loads an MPI library when it starts MPI, instead of being linked with one.
const loads = false

// Built tells whether MPI is built into this program.
const Built = true

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func text(f func(*C.char, C.int) C.int) string {
	buf := make([]byte, 8192)
	n := f((*C.char)(unsafe.Pointer(&buf[0])), C.int(len(buf)))
	return string(buf[:n])
}

// rawLoad and rawConfirm are for a library that is loaded. This one is linked.
func rawLoad() (how string, err error) { return "linked", nil }
func rawConfirm() error                { return nil }

// rawInterface is the interface that the family's own mpi.h has.
func rawInterface() abi.Interface { return familyFace(Family(rawFamily())) }

func rawFamily() int        { return int(C.rp_family()) }
func rawClass(code int) int { return int(C.rp_class(C.int(code))) }
func rawOnline() int        { return int(C.rp_online()) }
func rawWorld() uintptr     { return uintptr(C.rp_world()) }
func rawSelf() uintptr      { return uintptr(C.rp_self()) }
func rawFinalize() int      { return int(C.rp_finalize()) }

func rawLibrary() string {
	return text(func(b *C.char, n C.int) C.int { return C.rp_library(b, n) })
}

func rawProcessor() string {
	return text(func(b *C.char, n C.int) C.int { return C.rp_processor(b, n) })
}

func rawErrorString(code int) string {
	return text(func(b *C.char, n C.int) C.int { return C.rp_error_string(C.int(code), b, n) })
}

func rawInit(level int) (provided int, restored []int, code int) {
	var p, n C.int
	var signals [64]C.int
	if rawMitigates() {
		C.rp_want_losses(number(mitigates(rawLibrary(), os.LookupEnv)))
	}
	rc := C.rp_init(C.int(level), &p, &signals[0], C.int(len(signals)), &n)
	for _, s := range signals[:n] {
		restored = append(restored, int(s))
	}
	return int(p), restored, int(rc)
}

func rawState() (on, off bool, code int) {
	var i, f C.int
	rc := C.rp_state(&i, &f)
	return i != 0, f != 0, int(rc)
}

func rawQueryLevel() (level, code int) {
	var l C.int
	rc := C.rp_query_level(&l)
	return int(l), int(rc)
}

func rawDescribe(h uintptr) (description, int) {
	var rank, size, inter, remote, tag C.int
	rc := C.rp_describe(C.uintptr_t(h), &rank, &size, &inter, &remote, &tag)
	return description{rank: int(rank), size: int(size), remote: int(remote), maxTag: int(tag), inter: inter != 0}, int(rc)
}

func rawErrorsReturn(h uintptr) int { return int(C.rp_errors_return(C.uintptr_t(h))) }

func rawParent() (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_parent(&out)
	return uintptr(out), int(rc)
}

func rawGroup(h uintptr) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_group(C.uintptr_t(h), &out)
	return uintptr(out), int(rc)
}

func rawDup(h uintptr) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_dup(C.uintptr_t(h), &out)
	return uintptr(out), int(rc)
}

func rawSplit(h uintptr, color, key int) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_split(C.uintptr_t(h), C.int(color), C.int(key), &out)
	return uintptr(out), int(rc)
}

func rawSplitHost(h uintptr, key int) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_split_host(C.uintptr_t(h), C.int(key), &out)
	return uintptr(out), int(rc)
}

func rawCreateGroup(h uintptr, ranks []int, tag int) (uintptr, int) {
	var out C.uintptr_t
	list := make([]C.int, len(ranks)+1)
	for i, r := range ranks {
		list[i] = C.int(r)
	}
	rc := C.rp_create_group(C.uintptr_t(h), C.int(len(ranks)), &list[0], C.int(tag), &out)
	return uintptr(out), int(rc)
}

func rawInterCreate(local uintptr, leader int, peer uintptr, remoteLeader, tag int) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_inter_create(C.uintptr_t(local), C.int(leader), C.uintptr_t(peer), C.int(remoteLeader), C.int(tag), &out)
	return uintptr(out), int(rc)
}

func rawMerge(h uintptr, high bool) (uintptr, int) {
	var out C.uintptr_t
	rc := C.rp_merge(C.uintptr_t(h), number(high), &out)
	return uintptr(out), int(rc)
}

func rawFree(h uintptr) int              { return int(C.rp_free(C.uintptr_t(h))) }
func rawRevoke(h uintptr) int            { return int(C.rp_revoke(C.uintptr_t(h))) }
func rawMitigates() bool                 { return C.rp_mitigates() != 0 }
func rawDisconnect(h uintptr) int        { return int(C.rp_disconnect(C.uintptr_t(h))) }
func rawAbort(h uintptr, status int) int { return int(C.rp_abort(C.uintptr_t(h), C.int(status))) }

func rawAttribute(universe bool) (value int, found bool, code int) {
	var v, f C.int
	rc := C.rp_attribute(number(universe), &v, &f)
	return int(v), f != 0, int(rc)
}

// cStrings is a NULL-terminated vector in C memory; release frees all of it.
func cStrings(s []string) (vector **C.char, release func()) {
	const size = unsafe.Sizeof((*C.char)(nil))
	p := (**C.char)(C.calloc(C.size_t(len(s)+1), C.size_t(size)))
	v := unsafe.Slice(p, len(s)+1)
	for i := range s {
		v[i] = C.CString(s[i])
	}
	return p, func() {
		for _, c := range v {
			C.free(unsafe.Pointer(c))
		}
		C.free(unsafe.Pointer(p))
	}
}

func rawSpawn(h uintptr, s SpawnRequest) (uintptr, int) {
	var keys, values []string
	for _, p := range s.Info {
		keys, values = append(keys, p.Key), append(values, p.Value)
	}
	command := C.CString(s.Command)
	defer C.free(unsafe.Pointer(command))
	argv, free := cStrings(s.Args)
	defer free()
	k, free := cStrings(keys)
	defer free()
	v, free := cStrings(values)
	defer free()
	codes := make([]C.int, s.N)
	var out C.uintptr_t
	rc := C.rp_spawn(C.uintptr_t(h), C.int(s.Root), command, argv, C.int(s.N), C.int(len(keys)), k, v, &out, &codes[0])
	return uintptr(out), int(rc)
}

// peer and tag turn our wildcards into the library's.
func cPeer(rank int) C.int {
	if rank == AnySource {
		return C.rp_any_source()
	}
	return C.int(rank)
}

func cTag(tag int) C.int {
	if tag == AnyTag {
		return C.rp_any_tag()
	}
	return C.int(tag)
}

func rawIsend(a uintptr, n, dest, tag int, comm uintptr) (uintptr, int) {
	var r C.uintptr_t
	rc := C.rp_isend(C.uintptr_t(a), C.int64_t(n), C.int(dest), C.int(tag), C.uintptr_t(comm), &r)
	return uintptr(r), int(rc)
}

func rawIrecv(a uintptr, n, source, tag int, comm uintptr) (uintptr, int) {
	var r C.uintptr_t
	rc := C.rp_irecv(C.uintptr_t(a), C.int64_t(n), cPeer(source), cTag(tag), C.uintptr_t(comm), &r)
	return uintptr(r), int(rc)
}

func rawImrecv(a uintptr, n int, message uintptr) (uintptr, int) {
	m := C.uintptr_t(message)
	var r C.uintptr_t
	rc := C.rp_imrecv(C.uintptr_t(a), C.int64_t(n), &m, &r)
	return uintptr(r), int(rc)
}

func statusOf(s *C.rp_status) Status {
	return Status{Source: int(s.source), Tag: int(s.tag), Len: int(s.len)}
}

func rawWait(h uintptr, spin time.Duration) (rest uintptr, over bool, st Status, cancelled bool, code int) {
	r := C.uintptr_t(h)
	var done C.int
	var s C.rp_status
	rc := C.rp_wait(&r, C.int64_t(spin), &done, &s)
	return uintptr(r), done != 0, statusOf(&s), s.cancelled != 0, int(rc)
}

func rawCancel(h uintptr) int { return int(C.rp_cancel(C.uintptr_t(h))) }

func rawIprobe(comm uintptr, source, tag int) (Status, bool, int) {
	var found C.int
	var s C.rp_status
	rc := C.rp_iprobe(C.uintptr_t(comm), cPeer(source), cTag(tag), 0, &found, &s)
	return statusOf(&s), found != 0, int(rc)
}

func rawImprobe(comm uintptr, source, tag int) (message uintptr, st Status, found bool, code int) {
	var f C.int
	var m C.uintptr_t
	var s C.rp_status
	rc := C.rp_improbe(C.uintptr_t(comm), cPeer(source), cTag(tag), 0, &f, &m, &s)
	return uintptr(m), statusOf(&s), f != 0, int(rc)
}

func rawCollective(what int, blocking bool, send, recv uintptr, count, kind, op, root int, comm uintptr) (uintptr, int) {
	var r C.uintptr_t
	rc := C.rp_collective(C.int(what), number(blocking), C.uintptr_t(send), C.uintptr_t(recv), C.int64_t(count), C.int(kind),
		C.int(op), C.int(root), C.uintptr_t(comm), &r)
	return uintptr(r), int(rc)
}
