// Package abi has the facts about the binary interfaces of MPI libraries that a program needs to call one of which it has not seen
// the header: numbers, sizes and names, and nothing else. There are three interfaces, see [Interface].
//
// All of it was printed by C programs that included the mpi.h of the libraries, in November 2026 on x86-64:
//
//   - MPICH's by MPICH 4.0.2 (Debian 12), 4.2.1 (13), 5.0.2 (unstable). The three agree; since version 3.1 MPICH promises this
//     interface, and Intel MPI, MVAPICH and Cray MPICH promise the same.
//   - Open MPI's by Open MPI 4.1.4 (Debian 12), 5.0.7 (13), 6.0.0rc2 (unstable). They agree but for the classes of lost processes, which
//     begin with version 5. Its handles are the addresses of variables of the library.
//   - MPI's own, which MPI 5.0 defines in chapter 20 and appendix A, by the headers of both libraries in unstable, which agree.
//
// A test compares the tables with each mpi.h that is installed.
package abi

// Interface is what the compiled form of an MPI program depends on: types, sizes, constants and names.
type Interface int

// The interfaces.
const (
	Unknown  Interface = iota
	MPICH              // of MPICH since 3.1, Intel MPI, MVAPICH, Cray MPICH
	OpenMPI            // of Open MPI 3 to 6
	Standard           // of MPI 5, libmpi_abi: MPICH 5, Open MPI 6
)

// String is the interface's name.
func (i Interface) String() string {
	return [...]string{"an unknown MPI", "MPICH", "Open MPI", "MPI 5's standard interface"}[i]
}

// Handle is a predefined handle: a number, or the address of the variable with the name.
type Handle struct {
	Name   string // as mpi.h has it
	mpich  uintptr
	ompi   string
	common uintptr
}

// In returns the handle's number in an interface, or the variable whose address it is.
func (h Handle) In(i Interface) (number uintptr, variable string) {
	switch i {
	case MPICH:
		return h.mpich, ""
	case OpenMPI:
		return 0, h.ompi
	}
	return h.common, ""
}

// The predefined handles.
var (
	CommWorld    = Handle{"MPI_COMM_WORLD", 0x44000000, "ompi_mpi_comm_world", 0x101}
	CommSelf     = Handle{"MPI_COMM_SELF", 0x44000001, "ompi_mpi_comm_self", 0x102}
	CommNull     = Handle{"MPI_COMM_NULL", 0x04000000, "ompi_mpi_comm_null", 0x100}
	RequestNull  = Handle{"MPI_REQUEST_NULL", 0x2c000000, "ompi_request_null", 0x180}
	MessageNull  = Handle{"MPI_MESSAGE_NULL", 0x2c000000, "ompi_message_null", 0x128}
	InfoNull     = Handle{"MPI_INFO_NULL", 0x1c000000, "ompi_mpi_info_null", 0x130}
	OpNull       = Handle{"MPI_OP_NULL", 0x18000000, "ompi_mpi_op_null", 0x20}
	ErrorsReturn = Handle{"MPI_ERRORS_RETURN", 0x54000001, "ompi_mpi_errors_return", 0x143}
)

// The predefined functions for attributes, as one passes them: a number, or the function with the name.
var (
	NullCopy   = Handle{"MPI_COMM_NULL_COPY_FN", 0, "OMPI_C_MPI_COMM_NULL_COPY_FN", 0}
	NullDelete = Handle{"MPI_COMM_NULL_DELETE_FN", 0, "OMPI_C_MPI_COMM_NULL_DELETE_FN", 0}
)

// Types are the element types of the collectives, by the numbers that package mpi has for them; 0 is the byte.
var Types = [...]Handle{
	{"MPI_BYTE", 0x4c00010d, "ompi_mpi_byte", 0x247},
	{"MPI_INT8_T", 0x4c000137, "ompi_mpi_int8_t", 0x240},
	{"MPI_INT16_T", 0x4c000238, "ompi_mpi_int16_t", 0x248},
	{"MPI_INT32_T", 0x4c000439, "ompi_mpi_int32_t", 0x250},
	{"MPI_INT64_T", 0x4c00083a, "ompi_mpi_int64_t", 0x258},
	{"MPI_UINT8_T", 0x4c00013b, "ompi_mpi_uint8_t", 0x241},
	{"MPI_UINT16_T", 0x4c00023c, "ompi_mpi_uint16_t", 0x249},
	{"MPI_UINT32_T", 0x4c00043d, "ompi_mpi_uint32_t", 0x251},
	{"MPI_UINT64_T", 0x4c00083e, "ompi_mpi_uint64_t", 0x259},
	{"MPI_FLOAT", 0x4c00040a, "ompi_mpi_float", 0x210},
	{"MPI_DOUBLE", 0x4c00080b, "ompi_mpi_double", 0x214},
	{"MPI_C_FLOAT_COMPLEX", 0x4c000840, "ompi_mpi_c_float_complex", 0x212},
	{"MPI_C_DOUBLE_COMPLEX", 0x4c001041, "ompi_mpi_c_double_complex", 0x216},
}

// Ops are the reductions, by the numbers that package mpi has for them.
var Ops = [...]Handle{
	{"MPI_SUM", 0x58000003, "ompi_mpi_op_sum", 0x21},
	{"MPI_PROD", 0x58000004, "ompi_mpi_op_prod", 0x24},
	{"MPI_MIN", 0x58000002, "ompi_mpi_op_min", 0x22},
	{"MPI_MAX", 0x58000001, "ompi_mpi_op_max", 0x23},
	{"MPI_LAND", 0x58000005, "ompi_mpi_op_land", 0x30},
	{"MPI_LOR", 0x58000007, "ompi_mpi_op_lor", 0x31},
	{"MPI_BAND", 0x58000006, "ompi_mpi_op_band", 0x28},
	{"MPI_BOR", 0x58000008, "ompi_mpi_op_bor", 0x29},
	{"MPI_BXOR", 0x5800000a, "ompi_mpi_op_bxor", 0x2a},
}

// Number is a constant, a size or a place: an expression of C, and its value in each interface.
type Number struct {
	Name                string
	mpich, ompi, common int
}

// In returns the number in an interface.
func (n Number) In(i Interface) int {
	switch i {
	case MPICH:
		return n.mpich
	case OpenMPI:
		return n.ompi
	}
	return n.common
}

// The numbers.
var (
	HandleSize   = Number{"(int)sizeof(MPI_Comm)", 4, 8, 8} // of requests, types, infos and groups too
	StatusSize   = Number{"(int)sizeof(MPI_Status)", 20, 24, 32}
	StatusSource = Number{"(int)offsetof(MPI_Status, MPI_SOURCE)", 8, 0, 0}
	StatusTag    = Number{"(int)offsetof(MPI_Status, MPI_TAG)", 12, 4, 4}
	StatusError  = Number{"(int)offsetof(MPI_Status, MPI_ERROR)", 16, 8, 8}

	InPlace      = Number{"(int)(intptr_t)MPI_IN_PLACE", -1, 1, 1}
	StatusIgnore = Number{"(int)(intptr_t)MPI_STATUS_IGNORE", 1, 0, 0}

	AnySource  = Number{"MPI_ANY_SOURCE", -2, -1, -1}
	AnyTag     = Number{"MPI_ANY_TAG", -1, -1, -2}
	Undefined  = Number{"MPI_UNDEFINED", -32766, -32766, -32766}
	TagUB      = Number{"MPI_TAG_UB", 0x64400001, 0, 501}
	Universe   = Number{"MPI_UNIVERSE_SIZE", 0x64400009, 6, 507}
	AppNum     = Number{"MPI_APPNUM", 0x6440000d, 4, 505}
	TypeShared = Number{"MPI_COMM_TYPE_SHARED", 1, 0, 221}

	MaxErrorString = Number{"MPI_MAX_ERROR_STRING", 512, 256, 512}
	MaxVersion     = Number{"MPI_MAX_LIBRARY_VERSION_STRING", 8192, 256, 8192}
	MaxProcessor   = Number{"MPI_MAX_PROCESSOR_NAME", 128, 256, 256}
	MaxPort        = Number{"MPI_MAX_PORT_NAME", 256, 1024, 1024}
)

// Levels are the thread levels, from the least on.
var Levels = [...]Number{
	{"MPI_THREAD_SINGLE", 0, 0, 0},
	{"MPI_THREAD_FUNNELED", 1, 1, 1024},
	{"MPI_THREAD_SERIALIZED", 2, 2, 2048},
	{"MPI_THREAD_MULTIPLE", 3, 3, 4096},
}

// Classes are error classes. 0 is a class that the interface has not.
var Classes = [...]Number{
	{"MPI_ERR_BUFFER", 1, 1, 1},
	ErrCount,
	{"MPI_ERR_TYPE", 3, 3, 3},
	{"MPI_ERR_TAG", 4, 4, 4},
	{"MPI_ERR_COMM", 5, 5, 5},
	{"MPI_ERR_RANK", 6, 6, 6},
	{"MPI_ERR_REQUEST", 19, 7, 7},
	{"MPI_ERR_ROOT", 7, 8, 8},
	{"MPI_ERR_GROUP", 8, 9, 9},
	{"MPI_ERR_OP", 9, 10, 10},
	ErrArg,
	{"MPI_ERR_TRUNCATE", 14, 15, 15},
	{"MPI_ERR_OTHER", 15, 16, 16},
	{"MPI_ERR_INTERN", 16, 17, 17},
	{"MPI_ERR_IN_STATUS", 17, 18, 19},
	{"MPI_ERR_PENDING", 18, 19, 18},
	{"MPI_ERR_INFO", 28, 34, 34},
	{"MPI_ERR_INFO_KEY", 29, 31, 31},
	{"MPI_ERR_INFO_VALUE", 30, 33, 33},
	{"MPI_ERR_NO_MEM", 34, 39, 39},
	{"MPI_ERR_SPAWN", 42, 50, 53},
	ProcFailed, ProcFailedPending,
}

// Classes by name. Those of lost processes Open MPI has since version 5.
var (
	ErrCount          = Number{"MPI_ERR_COUNT", 2, 2, 2}
	ErrArg            = Number{"MPI_ERR_ARG", 12, 13, 13}
	ProcFailed        = Number{"MPIX_ERR_PROC_FAILED", 101, 75, 0}
	ProcFailedPending = Number{"MPIX_ERR_PROC_FAILED_PENDING", 102, 76, 0}
)

// Length reads how many bytes a message has, and whether its receive was cancelled, out of a status: at a third of the price of asking
// the library. Only MPICH's layout is promised, so whoever uses it compares it with the library's own answer first. ok is false
// where the interface hides it.
//
// MPICH has the lower half of the count at 0, and at 4 its upper half, shifted by one, above the bit of the cancellation. Open MPI has
// the cancellation at 12 and the count at 16 (mpi.h of all versions above).
func Length(i Interface, status *[4]uint64) (n int64, cancelled, ok bool) {
	switch i {
	case MPICH:
		low, high := uint32(status[0]), uint32(status[0]>>32)
		return int64(high>>1)<<32 | int64(low), high&1 != 0, true
	case OpenMPI:
		return int64(status[2]), uint32(status[1]>>32) != 0, true
	}
	return 0, false, false
}

// Names are how the shared libraries of an interface are called, from the likeliest on. The number at the end is that of the interface:
// Open MPI has kept 40 from version 3 to 6, MPICH and its descendants 12 since 3.1. Debian's MPICH is libmpich.
func Names(i Interface) []string {
	switch i {
	case MPICH:
		return []string{"libmpi.so.12", "libmpich.so.12"}
	case OpenMPI:
		return []string{"libmpi.so.40"}
	case Standard:
		return []string{"libmpi_abi.so.1"}
	}
	return nil
}
