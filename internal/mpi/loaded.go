//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"reflect"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// Built tells whether MPI is built into this program.
const Built = true

// The files whose names begin with loaded have the library's calls under one set of names for every library. It is loaded when MPI is
// initialised, unless the program is linked with it, and its functions are called by address. What differs between the libraries is in
// package abi.

// functions are the addresses of what this package calls, under the names of MPI.
type functions struct {
	Abort             uintptr
	Allgather         uintptr
	Allreduce         uintptr
	Barrier           uintptr
	Bcast             uintptr
	Cancel            uintptr
	Close_port        uintptr
	Comm_accept       uintptr
	Comm_connect      uintptr
	Comm_create_group uintptr

	Comm_create_keyval    uintptr
	Comm_disconnect       uintptr
	Comm_dup              uintptr
	Comm_free             uintptr
	Comm_get_attr         uintptr
	Comm_get_parent       uintptr
	Comm_group            uintptr
	Comm_rank             uintptr
	Comm_remote_group     uintptr
	Comm_remote_size      uintptr
	Comm_set_attr         uintptr
	Comm_set_errhandler   uintptr
	Comm_size             uintptr
	Comm_spawn            uintptr
	Comm_split            uintptr
	Comm_split_type       uintptr
	Comm_test_inter       uintptr
	Error_class           uintptr
	Error_string          uintptr
	Finalize              uintptr
	Finalized             uintptr
	Gather                uintptr
	Get_elements_x        uintptr
	Get_library_version   uintptr
	Get_processor_name    uintptr
	Group_free            uintptr
	Group_incl            uintptr
	Group_size            uintptr
	Group_translate_ranks uintptr
	Iallgather            uintptr
	Iallreduce            uintptr
	Ibarrier              uintptr
	Ibcast                uintptr
	Igather               uintptr
	Improbe               uintptr
	Imrecv                uintptr
	Info_create           uintptr
	Info_free             uintptr
	Info_set              uintptr
	Init_thread           uintptr
	Initialized           uintptr
	Intercomm_create      uintptr
	Intercomm_merge       uintptr
	Iprobe                uintptr
	Irecv                 uintptr
	Ireduce               uintptr
	Iscatter              uintptr
	Isend                 uintptr
	Lookup_name           uintptr
	Open_port             uintptr
	Publish_name          uintptr
	Query_thread          uintptr
	Recv                  uintptr
	Reduce                uintptr
	Scatter               uintptr
	Test                  uintptr
	Test_cancelled        uintptr
	Testsome              uintptr
	Type_commit           uintptr
	Type_contiguous       uintptr
	Type_create_struct    uintptr
	Type_free             uintptr
	Unpublish_name        uintptr
}

// findAll looks the functions up and returns the names of those that a library lacks.
func (f *functions) findAll(l clib.Library) (missing []string) {
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		name := "MPI_" + v.Type().Field(i).Name
		address := l.Symbol(name)
		if address == 0 {
			missing = append(missing, name)
		}
		v.Field(i).SetUint(uint64(address))
	}
	return missing
}

// bound is the MPI library that was loaded: its functions and what its interface is made of, in the form in which it is needed.
type bound struct {
	functions
	library clib.Library
	face    abi.Interface
	family  Family

	// MPIX_Comm_failure_ack, MPIX_Comm_failure_get_acked and MPIX_Comm_revoke, where the library tells of lost processes by them.
	failureAck, failureGetAcked, revoke uintptr

	wide bool // a handle is as long as an address, and not an int

	commWorld, commSelf, commNull, requestNull, messageNull, infoNull, opNull, errorsReturn uintptr
	nullCopy, nullDelete                                                                    uintptr

	types [len(abi.Types)]uintptr
	ops   [len(abi.Ops)]uintptr

	statusSize, sourceAt, tagAt, errorAt       uintptr
	inPlace, statusIgnore                      uintptr
	anySource, anyTag, undefined               int32
	tagUB, universe, appNum, typeShared        int32
	maxPort, maxVersion, maxError, maxHostName int
	levels                                     [len(abi.Levels)]int32
	classes                                    map[int32]Class
	lost, lostPending                          int32 // the classes of lost processes, 0 where there are none

	// direct tells that the length of a message can be read out of a status: the library has given the same answer itself.
	direct bool
}

// lib is the library of this process. It is set before MPI is initialised, and not changed from then on.
var lib *bound

// classOf has the classes of package abi under our numbers.
var classOf = map[string]Class{
	"MPI_ERR_BUFFER": ClassBuffer, "MPI_ERR_COUNT": ClassCount, "MPI_ERR_TYPE": ClassType, "MPI_ERR_TAG": ClassTag, "MPI_ERR_COMM": ClassComm,
	"MPI_ERR_RANK": ClassRank, "MPI_ERR_REQUEST": ClassRequest, "MPI_ERR_ROOT": ClassRoot, "MPI_ERR_GROUP": ClassGroup, "MPI_ERR_OP": ClassOp,
	"MPI_ERR_ARG": ClassArg, "MPI_ERR_TRUNCATE": ClassTruncate, "MPI_ERR_OTHER": ClassOther, "MPI_ERR_INTERN": ClassIntern,
	"MPI_ERR_IN_STATUS": ClassInStatus, "MPI_ERR_PENDING": ClassPending, "MPI_ERR_INFO": ClassInfo, "MPI_ERR_INFO_KEY": ClassInfo,
	"MPI_ERR_INFO_VALUE": ClassInfo, "MPI_ERR_NO_MEM": ClassNoMem, "MPI_ERR_SPAWN": ClassSpawn, "MPIX_ERR_PROC_FAILED": ClassLost,
	"MPIX_ERR_PROC_FAILED_PENDING": ClassLost,
}

// take fills in what the interface is made of, and returns the names of the variables that the library lacks.
func (b *bound) take(face abi.Interface) (missing []string) {
	b.face = face
	handle := func(h abi.Handle) uintptr {
		number, variable := h.In(face)
		if variable == "" {
			return number
		}
		address := b.library.Symbol(variable)
		if address == 0 {
			missing = append(missing, variable)
		}
		return address
	}
	number := func(n abi.Number) int32 { return int32(n.In(face)) }
	size := func(n abi.Number) uintptr { return uintptr(n.In(face)) }

	b.wide = abi.HandleSize.In(face) == 8
	b.commWorld, b.commSelf, b.commNull = handle(abi.CommWorld), handle(abi.CommSelf), handle(abi.CommNull)
	b.requestNull, b.messageNull, b.infoNull = handle(abi.RequestNull), handle(abi.MessageNull), handle(abi.InfoNull)
	b.opNull, b.errorsReturn = handle(abi.OpNull), handle(abi.ErrorsReturn)
	b.nullCopy, b.nullDelete = handle(abi.NullCopy), handle(abi.NullDelete)
	for i, h := range abi.Types {
		b.types[i] = handle(h)
	}
	for i, h := range abi.Ops {
		b.ops[i] = handle(h)
	}
	b.statusSize, b.sourceAt, b.tagAt, b.errorAt = size(abi.StatusSize), size(abi.StatusSource), size(abi.StatusTag), size(abi.StatusError)
	b.inPlace, b.statusIgnore = size(abi.InPlace), size(abi.StatusIgnore)
	b.anySource, b.anyTag, b.undefined = number(abi.AnySource), number(abi.AnyTag), number(abi.Undefined)
	b.tagUB, b.universe, b.appNum, b.typeShared = number(abi.TagUB), number(abi.Universe), number(abi.AppNum), number(abi.TypeShared)
	b.maxPort, b.maxVersion = abi.MaxPort.In(face), abi.MaxVersion.In(face)
	b.maxError, b.maxHostName = abi.MaxErrorString.In(face), abi.MaxProcessor.In(face)
	for i, n := range abi.Levels {
		b.levels[i] = number(n)
	}
	b.classes = make(map[int32]Class, len(abi.Classes))
	for _, n := range abi.Classes {
		if c := number(n); c != 0 {
			b.classes[c] = classOf[n.Name]
		}
	}
	if face == abi.OpenMPI {
		b.failureAck, b.failureGetAcked = b.library.Symbol("MPIX_Comm_failure_ack"), b.library.Symbol("MPIX_Comm_failure_get_acked")
		b.revoke = b.library.Symbol("MPIX_Comm_revoke")
		if b.failureAck != 0 && b.failureGetAcked != 0 {
			b.lost, b.lostPending = number(abi.ProcFailed), number(abi.ProcFailedPending)
		}
	}
	return missing
}
