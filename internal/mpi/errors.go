package mpi

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that tell in what state MPI is.
var (
	// ErrNotBuilt is the error of every call in a program built without MPI.
	ErrNotBuilt = errors.New("mpi: MPI is not built into this program: build it with `go build -tags mpi`, for Linux on amd64 or arm64 " +
		"(that needs no MPI, and with CGO_ENABLED=0 no C compiler)")

	// ErrNotStarted is the error of a call before Init.
	ErrNotStarted = errors.New("mpi: call before Init: initialise MPI first")

	// ErrFinalized is the error of a call after Finalize; MPI cannot be started twice in a process.
	ErrFinalized = errors.New("mpi: call after Finalize: MPI cannot be used again in this process")

	// ErrLost is the error of an operation with a rank that was given up.
	ErrLost = errors.New("mpi: the other rank is lost")

	// ErrEnded is the error of a Port's event by which the library tells that the process of a rank has ended. The rank may be
	// any of the communicator, be there an operation with it or not. It matches ErrLost.
	ErrEnded = fmt.Errorf("its process has ended: %w", ErrLost)

	// ErrFreed is the error of a call on a communicator that was freed, or on a nil one.
	ErrFreed = errors.New("mpi: communicator is nil or freed")

	// ErrCancelled is the error of a receive that was cancelled before a message matched it.
	ErrCancelled = errors.New("mpi: receive was cancelled")
)

// Class is an MPI error class under one number for every library. A Class is an error, to be found with errors.Is.
type Class int

// The classes, MPI 4.0 section 9.4. What a library has beyond them is ClassUnknown.
const (
	classSuccess Class = iota
	ClassUnknown
	ClassOther
	ClassIntern
	ClassArg
	ClassBuffer
	ClassCount
	ClassType
	ClassOp
	ClassTag
	ClassComm
	ClassRank
	ClassRoot
	ClassGroup
	ClassRequest
	ClassTruncate
	ClassInStatus
	ClassPending
	ClassNoMem
	ClassSpawn
	ClassInfo
	ClassLost
)

var classNames = [...]string{
	"success", "unknown error", "other error", "internal error", "invalid argument", "invalid buffer", "invalid count",
	"invalid type", "invalid operation", "invalid tag", "invalid communicator", "invalid rank", "invalid root",
	"invalid group", "invalid request", "message truncated", "error in a status", "pending", "out of memory",
	"cannot spawn", "invalid info", "process lost",
}

// Error names the class in words.
func (c Class) Error() string {
	if c < 0 || int(c) >= len(classNames) {
		c = ClassUnknown
	}
	return "mpi: " + classNames[c]
}

// Error is what an MPI call returned.
type Error struct {
	Op    string // the MPI function: "MPI_Comm_spawn"
	Class Class
	Code  int    // the library's own number
	Text  string // the library's own words, one line
	Hint  string // what to do; empty when nothing is known
}

// Error says what failed, the library's words, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mpi: %s: %s", e.Op, classNames[e.Class])
	if e.Text != "" {
		fmt.Fprintf(&b, " (%s)", e.Text)
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Is makes errors.Is find the class, and ErrLost for a process the library itself reports as failed.
func (e *Error) Is(target error) bool {
	return target == e.Class || e.Class == ClassLost && target == ErrLost
}

// hints say what to do, by class.
var hints = map[Class]string{
	ClassSpawn: "this MPI or its launcher cannot spawn that many processes: start the program with `mpiexec -n N` instead " +
		"(one is the master, the others work), or ask the launcher for more slots",
	ClassTruncate: "the receive buffer is shorter than the message: probe for its length first",
	ClassNoMem:    "the MPI library is out of memory: send less at a time",
	ClassLost:     "a process of the job ended: do not call Finalize, end with Abort",
	ClassTag:      "the tag must lie between 0 and Comm.MaxTag",
	ClassComm:     "the communicator was freed, or is of the wrong kind",
	ClassInfo:     "a key or value given with WithMPIInfo is empty or too long for this MPI",
}

// failure turns a return code into an error; nil for success.
func failure(op string, code int) error {
	if code == 0 {
		return nil
	}
	if !Built {
		return ErrNotBuilt
	}
	if on, off, _ := rawState(); !on || off { // a library that is asked for class and words then ends the process
		return &Error{
			Op: op, Code: code, Class: ClassUnknown, Text: fmt.Sprintf("the library's number %d; it has words only while MPI runs", code),
			Hint: "look at what the library and the launcher have printed",
		}
	}
	e := &Error{Op: op, Code: code, Class: Class(rawClass(code)), Text: oneLine(rawErrorString(code))}
	e.Hint = hints[e.Class]
	if op == "MPI_Comm_spawn" {
		e.Hint = hints[ClassSpawn]
	}
	return e
}

// invalid is the error of an argument that was refused before MPI saw it.
func invalid(op string, c Class, format string, args ...any) error {
	return &Error{Op: op, Class: c, Text: fmt.Sprintf(format, args...)}
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\x00", "")), " ")
}

// named is what a library calls itself: the first line of its text. MPICH's tells in further lines how it was built.
func named(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return oneLine(first)
}
