package mpi

import (
	"context"
	"encoding/binary"
	"reflect"
	"runtime"
	"unsafe"

	"golang.org/x/exp/constraints"
)

// Number is what the collectives move and reduce.
type Number interface {
	constraints.Integer | constraints.Float | constraints.Complex
}

// Op is how Reduce and Allreduce combine.
type Op int

// The operations. Min and Max need an order, the bitwise ones integers; the library refuses the rest with ClassOp.
const (
	Sum Op = iota
	Prod
	Min
	Max
	LogicalAnd
	LogicalOr
	BitAnd
	BitOr
	BitXor
)

// the collectives.
const (
	barrier = iota
	bcast
	reduce
	allreduce
	gather
	allgather
	scatter
)

var collectiveNames = [...]string{
	"MPI_Barrier", "MPI_Bcast", "MPI_Reduce", "MPI_Allreduce", "MPI_Gather", "MPI_Allgather", "MPI_Scatter",
}

// inPlace is the address that stands for MPI_IN_PLACE.
const inPlace uintptr = 1

// longestReduce keeps the count of a reduction an int.
const longestReduce = 1 << 30

// Barrier blocks until every rank of c has called it, without a limit: see Ibarrier for one.
func (c *Comm) Barrier() error { return c.collective(barrier, 0, 0, 0, 0, 0, 0) }

// Ibarrier enters the barrier and returns at once; the request is done when every rank has entered. It does not match
// Barrier: every rank calls the same of the two.
func (c *Comm) Ibarrier() (*Request, error) {
	if err := c.begin("MPI_Ibarrier"); err != nil {
		return nil, err
	}
	defer leave()
	return begun("MPI_Ibarrier", false, nil, func(uintptr) (uintptr, int) {
		return rawCollective(barrier, false, 0, 0, 0, 0, 0, 0, c.handle)
	})
}

// Ibcast starts a broadcast of bytes from root and returns at once. buf has the same length on every rank. It does not
// match Bcast: every rank calls the same of the two.
func (c *Comm) Ibcast(buf []byte, root int) (*Request, error) {
	if err := c.begin("MPI_Ibcast"); err != nil {
		return nil, err
	}
	defer leave()
	return begun("MPI_Ibcast", false, buf, func(a uintptr) (uintptr, int) {
		return rawCollective(bcast, false, a, 0, len(buf), 0, 0, root, c.handle)
	})
}

// collective runs one. Where the library allows one call at a time it is started and tested, or a rank inside it would
// keep its own other messages from moving.
func (c *Comm) collective(what int, send, recv uintptr, count, kind int, op Op, root int) error {
	name := collectiveNames[what]
	if err := c.begin(name); err != nil {
		return err
	}
	if c.about.inter && what != barrier {
		leave()
		return invalid(name, ClassComm, "not on an intercommunicator: Merge it first")
	}
	blocking := !runtimeState.serial.Load()
	h, code := rawCollective(what, blocking, send, recv, count, kind, int(op), root, c.handle)
	leave()
	if code != 0 || blocking {
		return failure(name, code)
	}
	r := &Request{op: name, handle: h}
	_, err := r.Wait(context.Background())
	return err
}

// Bcast copies buf of root into buf of every other rank; the lengths must agree. It blocks until this rank's part is
// done.
func Bcast[T Number](c *Comm, buf []T, root int) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	b := Bytes(buf)
	return c.collective(bcast, hold(&pin, b), 0, len(b), 0, 0, root)
}

// Reduce combines send of every rank, element by element, into recv of root; the other ranks may give a nil recv. At root
// a nil send means that recv holds its part. It blocks until this rank's part is done.
func Reduce[T Number](c *Comm, send, recv []T, op Op, root int) error {
	if c != nil && c.about.rank != root {
		recv = nil
	}
	return combine(c, reduce, send, recv, op, root)
}

// Allreduce combines send of every rank, element by element, into recv of every rank. A nil send means that recv holds
// this rank's part, on every rank or on none. It blocks until all have come.
func Allreduce[T Number](c *Comm, send, recv []T, op Op) error {
	return combine(c, allreduce, send, recv, op, 0)
}

func combine[T Number](c *Comm, what int, send, recv []T, op Op, root int) error {
	n := max(len(send), len(recv))
	if send != nil && recv != nil && len(send) != len(recv) {
		return invalid(collectiveNames[what], ClassCount, "%d elements in, room for %d out", len(send), len(recv))
	}
	if recv == nil && n > 0 && (what == allreduce || c != nil && c.about.rank == root) {
		return invalid(collectiveNames[what], ClassBuffer, "nowhere to put %d elements", n)
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	from, to := hold(&pin, Bytes(send)), hold(&pin, Bytes(recv))
	if send == nil && n > 0 {
		from = inPlace
	}
	var zero T
	size := unsafe.Sizeof(zero)
	kind := kindOf[T]()
	for {
		part := min(n, longestReduce)
		if err := c.collective(what, from, to, part, kind, op, root); err != nil {
			return err
		}
		if n -= part; n == 0 {
			return nil
		}
		if from != inPlace {
			from += uintptr(part) * size
		}
		if to != 0 {
			to += uintptr(part) * size
		}
	}
}

// Gather puts send of rank i at recv[i*len(send):] of root; the other ranks may give a nil recv. send has the same length
// on every rank. It blocks until this rank's part is done.
func Gather[T Number](c *Comm, send, recv []T, root int) error {
	return spread(c, gather, send, recv, root)
}

// Allgather is Gather to every rank.
func Allgather[T Number](c *Comm, send, recv []T) error { return spread(c, allgather, send, recv, 0) }

// Scatter gives rank i the part send[i*len(recv):] of root's send; the other ranks may give a nil send. recv has the same
// length on every rank. It blocks until this rank's part is done.
func Scatter[T Number](c *Comm, send, recv []T, root int) error {
	return spread(c, scatter, send, recv, root)
}

func spread[T Number](c *Comm, what int, send, recv []T, root int) error {
	part, whole := len(send), len(recv)
	if what == scatter {
		part, whole = whole, part
	}
	if c != nil && (what == allgather || c.about.rank == root) && whole != part*c.about.size {
		return invalid(collectiveNames[what], ClassCount, "%d elements for %d ranks with %d each", whole, c.about.size, part)
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	var zero T
	return c.collective(what, hold(&pin, Bytes(send)), hold(&pin, Bytes(recv)), part*int(unsafe.Sizeof(zero)), 0, 0, root)
}

// GatherBytes collects what each rank gives, of whatever length, at root; nil elsewhere. It is meant for start-up: every
// part is padded to the longest.
func GatherBytes(c *Comm, mine []byte, root int) ([][]byte, error) {
	longest := []int64{int64(len(mine))}
	if err := Allreduce(c, nil, longest, Max); err != nil {
		return nil, err
	}
	const header = 8
	row := header + int(longest[0])
	send := make([]byte, row)
	binary.LittleEndian.PutUint64(send, uint64(len(mine)))
	copy(send[header:], mine)
	var recv []byte
	if c.Rank() == root {
		recv = make([]byte, row*c.Size())
	}
	if err := Gather(c, send, recv, root); err != nil || recv == nil {
		return nil, err
	}
	parts := make([][]byte, c.Size())
	for i := range parts {
		r := recv[i*row : (i+1)*row : (i+1)*row]
		n := min(binary.LittleEndian.Uint64(r), uint64(row-header))
		parts[i] = r[header : header+n : header+n]
	}
	return parts, nil
}

// Bytes returns the memory of s as bytes, without a copy.
func Bytes[T Number](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(zero)))
}

// kindOf is the place of an element type in abi.Types.
func kindOf[T Number]() int {
	t := reflect.TypeFor[T]()
	step := map[uintptr]int{1: 0, 2: 1, 4: 2, 8: 3}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return 1 + step[t.Size()]
	case reflect.Float32:
		return 9
	case reflect.Float64:
		return 10
	case reflect.Complex64:
		return 11
	case reflect.Complex128:
		return 12
	}
	return 5 + step[t.Size()]
}
