//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// confirmLimit is how long a message of this process to itself may take.
const confirmLimit = 10 * time.Second

// rawConfirm tries the library before the first message: whether handles, constants and the layout of a status are what its interface
// says. This process sends itself messages for that, over MPI_COMM_SELF, whose errors are returned. It also finds out whether the
// length of a message can be read out of a status.
func rawConfirm() error {
	t := &trial{bound: lib, mine: make([]byte, 64)}
	if err := t.run(); err != nil {
		keep(t) // a receive may still wait
		return fmt.Errorf("mpi: %s does not do what its interface, %s, says: %w; name another library by RANKPOOL_MPI", chosen, lib.face, err)
	}
	return nil
}

// trial is one such try. The library writes into it.
type trial struct {
	*bound
	out, in, message, flag uint64
	sum                    [2]int64
	status                 [8]uint64 // twice as long as the longest
	mine                   []byte
}

// mark is what memory has that nobody writes to.
const mark = 0x5a5a5a5a5a5a5a5a

func (t *trial) run() error {
	const long, tag = 11, 77
	data, room := uintptr(unsafe.Pointer(&t.mine[0])), uintptr(unsafe.Pointer(&t.mine[32]))
	copy(t.mine, "to myself: ")

	if code := clib.Do(t.Irecv, room, 32, t.types[0], arg(t.anySource), arg(t.anyTag), t.commSelf, at(&t.in)); code != 0 {
		return failure("MPI_Irecv", code)
	}
	if code := clib.Do(t.Isend, data, long, t.types[0], 0, tag, t.commSelf, at(&t.out)); code != 0 {
		return failure("MPI_Isend", code)
	}
	if err := t.wait("MPI_Isend", &t.out); err != nil {
		return err
	}
	if err := t.wait("MPI_Irecv", &t.in); err != nil {
		return err
	}
	if err := t.look(long, tag); err != nil {
		return err
	}
	if got := string(t.mine[32 : 32+long]); got != string(t.mine[:long]) {
		return fmt.Errorf("%q came as %q", t.mine[:long], got)
	}
	if t.read(&t.in) != t.requestNull {
		return fmt.Errorf("the request that is over is %#x, and MPI_REQUEST_NULL %#x", t.read(&t.in), t.requestNull)
	}
	if err := t.probed(data, room); err != nil {
		return err
	}
	t.sum[0] = -42
	code := clib.Do(t.Allreduce, uintptr(unsafe.Pointer(&t.sum[0])), uintptr(unsafe.Pointer(&t.sum[1])), 1, t.types[4], t.ops[Sum], t.commSelf)
	if code != 0 {
		return failure("MPI_Allreduce", code)
	}
	if t.sum[1] != -42 {
		return fmt.Errorf("the sum of -42 alone is %d", t.sum[1])
	}
	return t.tooLong(data, room)
}

// tooLong receives a message into too little room: the one mistake that a library reports whatever it was told. A rank that is not there
// would show the numbers of the classes too, but ends a process whose Open MPI has mpi_param_check=0, or whose MPICH checks nothing.
func (t *trial) tooLong(data, room uintptr) error {
	const long, tag = 11, 79
	// Open MPI tells only where the message is there before the receive.
	if code := clib.Do(t.Isend, data, long, t.types[0], 0, tag, t.commSelf, at(&t.out)); code != 0 {
		return failure("MPI_Isend", code)
	}
	err := failure("MPI_Irecv", clib.Do(t.Irecv, room, long-1, t.types[0], 0, tag, t.commSelf, at(&t.in)))
	if err == nil {
		err = t.wait("MPI_Irecv", &t.in)
	}
	if !errors.Is(err, ClassTruncate) {
		return fmt.Errorf("a message of %d bytes is received into %d with the error %v", long, long-1, err)
	}
	return t.wait("MPI_Isend", &t.out)
}

// wait tests a request until it is over.
func (t *trial) wait(op string, request *uint64) error {
	for end := time.Now().Add(confirmLimit); ; {
		t.flag = 0
		for i := range t.status {
			t.status[i] = mark
		}
		if code := clib.Do(t.Test, at(request), at(&t.flag), at(&t.status[0])); code != 0 {
			return failure(op, code)
		}
		if intAt(&t.flag) != 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s of a message to itself does not end within %v", op, confirmLimit)
		}
	}
}

// look compares the status with what it must say, and both ways to learn the length.
func (t *trial) look(long int64, tag int32) error {
	p := unsafe.Pointer(&t.status)
	for i := t.statusSize; i < unsafe.Sizeof(t.status); i++ {
		if *(*byte)(unsafe.Add(p, i)) != mark&0xff {
			return fmt.Errorf("a status is longer than %d bytes", t.statusSize)
		}
	}
	if source, got := statusField(p, t.sourceAt), statusField(p, t.tagAt); source != 0 || got != tag {
		return fmt.Errorf("a message with tag %d from rank 0 came with tag %d from rank %d", tag, got, source)
	}
	n, cancelled := t.askLength(p)
	if n != long || cancelled {
		return fmt.Errorf("a message of %d bytes came with %d (cancelled: %v)", long, n, cancelled)
	}
	n, cancelled, ok := abi.Length(t.face, (*[4]uint64)(p))
	t.direct = ok && n == long && !cancelled
	return nil
}

// probed sends a message that is taken out of the queue by a probe.
func (t *trial) probed(data, room uintptr) error {
	const long, tag = 5, 78
	if code := clib.Do(t.Isend, data, long, t.types[0], 0, tag, t.commSelf, at(&t.out)); code != 0 {
		return failure("MPI_Isend", code)
	}
	for end := time.Now().Add(confirmLimit); ; {
		t.flag = 0
		t.write(&t.message, t.messageNull)
		code := clib.Do(t.Improbe, arg(t.anySource), arg(t.anyTag), t.commSelf, at(&t.flag), at(&t.message), at(&t.status[0]))
		if code != 0 {
			return failure("MPI_Improbe", code)
		}
		if intAt(&t.flag) != 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("a message to itself does not come within %v", confirmLimit)
		}
	}
	if code := clib.Do(t.Imrecv, room, 32, t.types[0], at(&t.message), at(&t.in)); code != 0 {
		return failure("MPI_Imrecv", code)
	}
	if err := t.wait("MPI_Imrecv", &t.in); err != nil {
		return err
	}
	if err := t.look(long, tag); err != nil {
		return err
	}
	return t.wait("MPI_Isend", &t.out)
}
