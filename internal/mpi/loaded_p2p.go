//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"math"
	"runtime"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// nothing is where an empty message lies: MPI wants an address and Go has none to give.
var nothing [16]byte

func address(a uintptr) uintptr {
	if a == 0 {
		return uintptr(unsafe.Pointer(&nothing))
	}
	return a
}

// A count in MPI is an int. Longer messages are blocks of this many bytes and a rest, as one element of a derived type; the bytes of both
// ends match whatever type either used.
const blockSize = 1 << 20

// typed calls f with a count and a type for n bytes. MPI frees the type itself once the operation is over.
func (b *bound) typed(n int64, f func(count, kind uintptr) int) int {
	if n <= math.MaxInt32 {
		return f(uintptr(n), b.types[0])
	}
	s := borrow()
	defer s.giveBack()
	code := b.longType(n, s)
	if code == 0 {
		code = f(1, b.read(&s.c))
		clib.Do(b.Type_free, at(&s.c))
	}
	return code
}

// longType leaves a type of n bytes in s.c.
func (b *bound) longType(n int64, s *scratch) int {
	if code := clib.Do(b.Type_contiguous, blockSize, b.types[0], at(&s.a)); code != 0 {
		return code
	}
	code := clib.Do(b.Type_contiguous, uintptr(n/blockSize), b.read(&s.a), at(&s.b))
	clib.Do(b.Type_free, at(&s.a))
	if code != 0 {
		return code
	}
	rest := n % blockSize
	m := &struct {
		lengths [2]int32
		places  [2]int64
		kinds   [2]uint64 // two handles, side by side
	}{lengths: [2]int32{1, int32(rest)}, places: [2]int64{0, n - rest}}
	if b.wide {
		m.kinds = [2]uint64{uint64(b.read(&s.b)), uint64(b.types[0])}
	} else {
		m.kinds[0] = uint64(uint32(b.read(&s.b))) | uint64(b.types[0])<<32
	}
	parts := uintptr(1)
	if rest > 0 {
		parts = 2
	}
	code = clib.Do(b.Type_create_struct, parts, uintptr(unsafe.Pointer(&m.lengths)), uintptr(unsafe.Pointer(&m.places)),
		uintptr(unsafe.Pointer(&m.kinds)), at(&s.c))
	clib.Do(b.Type_free, at(&s.b))
	if code != 0 {
		return code
	}
	if code = clib.Do(b.Type_commit, at(&s.c)); code != 0 {
		clib.Do(b.Type_free, at(&s.c))
	}
	return code
}

// source and tag turn our wildcards into the library's.
func (b *bound) source(rank int) uintptr {
	if rank == AnySource {
		return arg(b.anySource)
	}
	return arg(rank)
}

func (b *bound) tag(tag int) uintptr {
	if tag == AnyTag {
		return arg(b.anyTag)
	}
	return arg(tag)
}

// started has call start an operation whose request it leaves at out.
func started(call func(out uintptr) int) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.requestNull)
	code := call(at(&s.a))
	return lib.read(&s.a), code
}

func rawIsend(a uintptr, n, dest, tag int, comm uintptr) (uintptr, int) {
	return started(func(out uintptr) int {
		return lib.typed(int64(n), func(count, kind uintptr) int {
			return clib.Do(lib.Isend, address(a), count, kind, arg(dest), arg(tag), lib.comm(comm), out)
		})
	})
}

func rawIrecv(a uintptr, n, source, tag int, comm uintptr) (uintptr, int) {
	return started(func(out uintptr) int {
		return lib.typed(int64(n), func(count, kind uintptr) int {
			return clib.Do(lib.Irecv, address(a), count, kind, lib.source(source), lib.tag(tag), lib.comm(comm), out)
		})
	})
}

func rawImrecv(a uintptr, n int, message uintptr) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.b, message)
	return started(func(out uintptr) int {
		return lib.typed(int64(n), func(count, kind uintptr) int { return clib.Do(lib.Imrecv, address(a), count, kind, at(&s.b), out) })
	})
}

// statusField is an int in a status.
func statusField(status unsafe.Pointer, at uintptr) int32 { return *(*int32)(unsafe.Add(status, at)) }

// length is how many bytes the message of a status has, and whether its receive was cancelled.
func (b *bound) length(status unsafe.Pointer) (n int64, cancelled bool) {
	if b.direct {
		var copied [4]uint64
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&copied)), b.statusSize), unsafe.Slice((*byte)(status), b.statusSize))
		n, cancelled, _ = abi.Length(b.face, &copied)
		return max(n, 0), cancelled
	}
	return b.askLength(status)
}

// askLength asks the library.
func (b *bound) askLength(status unsafe.Pointer) (n int64, cancelled bool) {
	s := borrow()
	defer s.giveBack()
	s.c, s.d = 0, 0
	clib.Do(b.Get_elements_x, uintptr(status), b.types[0], at(&s.c))
	clib.Do(b.Test_cancelled, uintptr(status), at(&s.d))
	return max(int64(s.c), 0), intAt(&s.d) != 0
}

// fill reads a whole status.
func (b *bound) fill(status *[4]uint64) (st Status, cancelled bool) {
	p := unsafe.Pointer(status)
	n, cancelled := b.length(p)
	return Status{Source: int(statusField(p, b.sourceAt)), Tag: int(statusField(p, b.tagAt)), Len: int(n)}, cancelled
}

// polite is after how long a spin lets others run, or the peer on the same core never gets to answer.
const polite = 20 * time.Microsecond

// rounds is how often a loop looks at the library between two looks at the clock.
const rounds = 8

// spin makes the call in s.loop until it has something to say, or the time is over.
func (s *scratch) spin(limit time.Duration) int {
	if limit <= 0 {
		clib.Run(s.loop[:], 1, nil)
		return int(int32(s.loop[0].Result))
	}
	start := time.Now()
	for {
		clib.Run(s.loop[:], rounds, nil)
		if r := int(int32(s.loop[0].Result)); r != 0 || *s.loop[0].Flag != 0 {
			return r
		}
		spent := time.Since(start)
		if spent >= limit {
			return 0
		}
		if spent > polite {
			runtime.Gosched()
		}
	}
}

// looping prepares spin: a call that leaves its flag in s.b.
func (s *scratch) looping(function uintptr, args ...uintptr) {
	c := &s.loop[0]
	*c = clib.Call{Func: function, Flag: flagAt(&s.b)}
	copy(c.Args[:], args)
	s.b = 0
}

func rawWait(h uintptr, spin time.Duration) (rest uintptr, over bool, st Status, cancelled bool, code int) {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, h)
	s.looping(lib.Test, at(&s.a), at(&s.b), at(&s.status[0]))
	code = s.spin(spin)
	over = code != 0 || intAt(&s.b) != 0
	if over && code == 0 {
		st, cancelled = lib.fill(&s.status)
	}
	return lib.read(&s.a), over, st, cancelled, code
}

func rawCancel(h uintptr) int {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, h)
	return clib.Do(lib.Cancel, at(&s.a))
}

func rawIprobe(comm uintptr, source, tag int) (st Status, found bool, code int) {
	s := borrow()
	defer s.giveBack()
	s.b = 0
	code = clib.Do(lib.Iprobe, lib.source(source), lib.tag(tag), lib.comm(comm), at(&s.b), at(&s.status[0]))
	if found = code == 0 && intAt(&s.b) != 0; found {
		st, _ = lib.fill(&s.status)
	}
	return st, found, code
}

func rawImprobe(comm uintptr, source, tag int) (message uintptr, st Status, found bool, code int) {
	s := borrow()
	defer s.giveBack()
	s.b = 0
	lib.write(&s.a, lib.messageNull)
	code = clib.Do(lib.Improbe, lib.source(source), lib.tag(tag), lib.comm(comm), at(&s.b), at(&s.a), at(&s.status[0]))
	if found = code == 0 && intAt(&s.b) != 0; found {
		st, _ = lib.fill(&s.status)
	}
	return lib.read(&s.a), st, found, code
}

func rawCollective(what int, blocking bool, send, recv uintptr, count, kind, op, root int, comm uintptr) (request uintptr, code int) {
	run := func(n, kind uintptr) int {
		if !blocking {
			request, code = started(func(out uintptr) int { return lib.collective(what, false, send, recv, n, kind, op, root, comm, out) })
			return code
		}
		request = lib.requestNull
		return quiet(func() int { return lib.collective(what, true, send, recv, n, kind, op, root, comm, 0) })
	}
	switch {
	case kind == 0:
		code = lib.typed(int64(count), run)
	case count > math.MaxInt32:
		code = abi.ErrCount.In(lib.face)
	default:
		code = run(uintptr(count), lib.types[kind])
	}
	return request, code
}

// collective makes the call, or starts it and leaves a request at out. An address of 1 stands for MPI_IN_PLACE.
func (b *bound) collective(what int, blocking bool, send, recv, n, kind uintptr, op, root int, comm, out uintptr) int {
	place := func(a uintptr) uintptr {
		if a == inPlace {
			return b.inPlace
		}
		return address(a)
	}
	from, to, c, o := place(send), place(recv), b.comm(comm), b.opNull
	if op >= 0 && op < len(b.ops) {
		o = b.ops[op]
	}
	// The function that starts takes one argument more, the last.
	pick := func(whole, begin uintptr) uintptr {
		if blocking {
			return whole
		}
		return begin
	}
	switch what {
	case barrier:
		return clib.Do(pick(b.Barrier, b.Ibarrier), c, out)
	case bcast:
		return clib.Do(pick(b.Bcast, b.Ibcast), from, n, kind, arg(root), c, out)
	case reduce:
		return clib.Do(pick(b.Reduce, b.Ireduce), from, to, n, kind, o, arg(root), c, out)
	case allreduce:
		return clib.Do(pick(b.Allreduce, b.Iallreduce), from, to, n, kind, o, c, out)
	case gather:
		return clib.Do(pick(b.Gather, b.Igather), from, n, kind, to, n, kind, arg(root), c, out)
	case allgather:
		return clib.Do(pick(b.Allgather, b.Iallgather), from, n, kind, to, n, kind, c, out)
	case scatter:
		return clib.Do(pick(b.Scatter, b.Iscatter), from, n, kind, to, n, kind, arg(root), c, out)
	}
	return abi.ErrArg.In(b.face)
}
