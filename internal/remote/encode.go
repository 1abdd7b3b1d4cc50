package remote

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"syscall"
)

// The bytes of an error: a version, then the root of the tree. A node is a tag and what belongs to it, causes last.
// Numbers are varints; a string is its length and its bytes.
const version = 1

const (
	tagNil      = iota
	tagOpaque   // flags, type name, note if flagged, text, number of causes, causes
	tagSentinel // name, text
	tagErrno    // number
	tagPath     // op, path, cause
	tagLink     // op, old, new, cause
	tagSyscall  // call, cause
	tagNum      // func, num, cause
	tagTyped    // name, type name, text, value, number of errors inside and those, number of causes, rest of them
	tagPanic    // flags, value, type, stack, cause if flagged
	tagPanicNil // nothing
	tagStack    // stack, and the error that carried it, which is no such node
	tagError    // worker, workers, rank, pid, flags, func, host, type, message, stack, cause
)

// Flags of tagOpaque beside the shape, which takes two bits.
const (
	shapeMask   = 3
	flagRuntime = 4
	flagNote    = 8
)

// Flags of tagPanic.
const (
	panicGoexit = 1
	panicCause  = 2
)

// Flags of tagError.
const errorThread = 1

// Limits of a tree. What lies beyond is left behind, with a note that says so; texts stay whole.
const (
	maxDepth = 1000
	maxNodes = 4096
)

// Append appends the bytes of err, any error or nil, to dst and returns the result.
//
// It always succeeds. An error whose methods panic, whose registered type cannot be encoded, that wraps itself or is
// nested without end becomes text that says what was lost. It calls the Error and Unwrap methods of every error in the
// tree, so the tree must not change meanwhile; otherwise calls may run together. What Go itself cannot stop is not
// caught: an Error method that never returns, or that calls itself until the stack is full.
//
// Kept are: by identity the registered sentinels; whole, the errors of registered types, *fs.PathError, *os.LinkError,
// *os.SyscallError, *strconv.NumError, syscall.Errno, *PanicError and *Error; of all others the exact text, the name of
// the type, and the causes, whether Unwrap returns one or many. The stack that an error carries goes along, see stackOf.
func Append(dst []byte, err error) []byte { return appendInside(dst, err, 0) }

// appendInside is Append for an error that is inside of so many others.
func appendInside(dst []byte, err error, level int) (out []byte) {
	defer func() {
		// Every method call is guarded where it is made. This is for what nobody thought of.
		if v := recover(); v != nil {
			e := encoder{b: append(dst, version)}
			e.opaque(&Opaque{TypeName: fmt.Sprintf("%T", err)},
				fmt.Sprintf("an error of type %T that could not be written: %s", err, sprint(v)), 0, "")
			out = e.b
		}
	}()
	e := encoder{b: append(dst, version), left: maxNodes - 1, level: level}
	e.node(err, 0)
	return e.b
}

type encoder struct {
	b      []byte
	level  int // how many errors it is inside of, by way of values
	left   int // nodes that may still be promised
	stacks int
	path   []reference // errors from the root to the current one
}

// reference identifies an error that is a pointer.
type reference struct {
	typ  reflect.Type
	addr uintptr
}

func (e *encoder) node(err error, depth int) {
	if err == nil {
		e.b = append(e.b, tagNil)
		return
	}
	text, ok := textOf(err)
	e.nodeWith(err, text, ok, depth)
}

// nodeWith writes err, whose text the caller has asked for already; ok tells whether it is the error's own.
func (e *encoder) nodeWith(err error, text string, ok bool, depth int) {
	if e.stacks < maxStacks {
		if s := stackOf(err); s != "" {
			e.stacks++
			e.b = append(e.b, tagStack)
			e.string(s)
		}
	}
	for s, is := err.(*stacked); is; s, is = err.(*stacked) {
		err = s.error
	}
	if name := sentinelName(err); name != "" {
		e.b = append(e.b, tagSentinel)
		e.string(name)
		e.string(text)
		return
	}
	if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer {
		at := reference{v.Type(), v.Pointer()}
		for _, r := range e.path {
			if r == at {
				e.leaf(err, text, "it wraps itself, its causes were left behind")
				return
			}
		}
		e.path = append(e.path, at)
		defer func() { e.path = e.path[:len(e.path)-1] }()
	}
	if ok && e.known(err, depth) {
		return
	}
	if t, is := err.(*typed); is {
		if e.registered(t.value, text, depth, t.extra) {
			return
		}
	} else if e.registered(err, text, depth, nil) {
		return
	}
	e.opaque(err, text, depth, "")
}

// known writes err if it is of a type of the standard library, or of this package, that travels whole.
func (e *encoder) known(err error, depth int) bool {
	switch err := inward(err).(type) {
	case syscall.Errno:
		e.b = binary.AppendUvarint(append(e.b, tagErrno), uint64(err))
		return true
	case *runtime.PanicNilError:
		e.b = append(e.b, tagPanicNil)
		return true
	case *fs.PathError:
		return e.with(tagPath, depth, err.Err, err.Op, err.Path)
	case *os.LinkError:
		return e.with(tagLink, depth, err.Err, err.Op, err.Old, err.New)
	case *os.SyscallError:
		return e.with(tagSyscall, depth, err.Err, err.Syscall)
	case *strconv.NumError:
		return e.with(tagNum, depth, err.Err, err.Func, err.Num)
	case *PanicError:
		var flags byte
		if err.Goexit {
			flags |= panicGoexit
		}
		if err.Cause != nil && e.reserve(1, depth) {
			flags |= panicCause
		}
		e.b = append(e.b, tagPanic, flags)
		e.strings(err.Value, err.Type, err.Stack)
		if flags&panicCause != 0 {
			e.node(err.Cause, depth+1)
		}
		return true
	case *Error:
		if err.Cause == nil || !e.reserve(1, depth) {
			return false
		}
		e.b = append(e.b, tagError)
		for _, n := range [...]int{err.Worker, err.Workers, err.Rank, err.Pid} {
			e.b = binary.AppendVarint(e.b, int64(n))
		}
		var flags byte
		if err.Thread {
			flags |= errorThread
		}
		e.b = append(e.b, flags)
		e.strings(err.Func, err.Host, err.Type, err.Message, err.Stack)
		e.node(err.Cause, depth+1)
		return true
	}
	return false
}

// with writes a node of some strings and one cause.
func (e *encoder) with(tag byte, depth int, cause error, fields ...string) bool {
	if cause == nil || !e.reserve(1, depth) {
		return false
	}
	e.b = append(e.b, tag)
	e.strings(fields...)
	e.node(cause, depth+1)
	return true
}

// reserve promises n more nodes below depth, or tells that the tree is full.
func (e *encoder) reserve(n, depth int) bool {
	if n > e.left || depth >= maxDepth {
		return false
	}
	e.left -= n
	return true
}

// registered writes err as its registered type. Extra are the causes it has beyond its own, nil to ask it.
func (e *encoder) registered(err error, text string, depth int, extra []error) bool {
	c := carrierFor(reflect.TypeOf(err))
	if c == nil {
		return false
	}
	blob, inside, problem := c.encode(err, e.level)
	if problem != nil {
		e.opaque(err, text, depth, "its value was left behind: "+clip(problem.Error()))
		return true
	}
	causes, _ := causesOf(err)
	total := len(causes) + len(extra)
	for _, cause := range causes {
		if !among(cause, inside) {
			extra = append(extra[:len(extra):len(extra)], cause)
		}
	}
	if !e.reserve(len(inside)+len(extra), depth) {
		e.opaque(err, text, depth, "its value was left behind: the tree of errors is too large")
		return true
	}
	e.b = append(e.b, tagTyped)
	e.strings(c.name, TypeName(err))
	kids := make([]kid, 0, len(inside)+len(extra))
	for _, list := range [][]error{inside, extra} {
		for _, err := range list {
			kids = append(kids, kidOf(err))
		}
	}
	e.text(text, kids)
	e.string(string(blob))
	e.b = binary.AppendUvarint(e.b, uint64(len(inside)))
	e.kids(kids[:len(inside)], depth)
	e.b = binary.AppendUvarint(e.b, uint64(total))
	e.b = binary.AppendUvarint(e.b, uint64(len(extra)))
	e.kids(kids[len(inside):], depth)
	return true
}

// among tells whether err is one of list, by identity.
func among(err error, list []error) bool {
	if !reflect.ValueOf(err).Comparable() {
		return false
	}
	for _, e := range list {
		// Equal types, so that both can be compared or neither.
		if reflect.TypeOf(e) == reflect.TypeOf(err) && reflect.ValueOf(e).Comparable() && e == err {
			return true
		}
	}
	return false
}

// opaque writes what is kept of any error: text, type name and causes.
func (e *encoder) opaque(err error, text string, depth int, note string) {
	if o, ok := err.(noted); ok && note == "" {
		note = o.note()
	}
	causes, shape := causesOf(err)
	had := len(causes)
	if depth >= maxDepth && had > 0 {
		causes, note = nil, join(note, fmt.Sprintf("its causes were left behind: errors are carried %d levels deep", maxDepth))
	} else if most := max(e.left/2, min(e.left, 16)); had > most {
		// The other half is for what is inside them.
		causes, note = causes[:most], join(note, cutNote(most, had))
	}
	e.left -= len(causes)
	if len(causes) == 0 {
		e.leaf(err, text, note)
		return
	}
	e.b = append(e.b, tagOpaque)
	e.head(err, shape, note)
	kids := make([]kid, len(causes))
	for i, c := range causes {
		kids[i] = kidOf(c)
	}
	e.text(text, kids)
	e.b = binary.AppendUvarint(e.b, uint64(len(kids)))
	e.kids(kids, depth)
}

// leaf writes an error without causes.
func (e *encoder) leaf(err error, text, note string) {
	e.b = append(e.b, tagOpaque)
	e.head(err, leaf, note)
	e.text(text, nil)
	e.b = append(e.b, 0)
}

func (e *encoder) head(err error, shape int, note string) {
	flags := byte(shape)
	if _, ok := err.(runtime.Error); ok {
		flags |= flagRuntime
	}
	if note != "" {
		flags |= flagNote
	}
	e.b = append(e.b, flags)
	e.string(TypeName(err))
	if note != "" {
		e.string(note)
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// kid is an error to be written, and its text.
type kid struct {
	err  error
	text string
	ok   bool
}

func kidOf(err error) kid {
	if err == nil {
		return kid{}
	}
	text, ok := textOf(err)
	return kid{err, text, ok}
}

func (e *encoder) kids(kids []kid, depth int) {
	for _, k := range kids {
		if k.err == nil {
			e.node(nil, depth+1)
			continue
		}
		e.nodeWith(k.err, k.text, k.ok, depth+1)
	}
}

// text writes a text as the literals around those of the kids that are not nil: a long chain would else hold that of its
// end once per level.
func (e *encoder) text(text string, kids []kid) {
	inner := make([]string, 0, len(kids))
	for _, k := range kids {
		if k.err != nil {
			inner = append(inner, k.text)
		}
	}
	lits := split(text, inner)
	e.b = binary.AppendUvarint(e.b, uint64(len(lits)))
	e.strings(lits...)
}

func (e *encoder) string(s string) {
	e.b = append(binary.AppendUvarint(e.b, uint64(len(s))), s...)
}

func (e *encoder) strings(list ...string) {
	for _, s := range list {
		e.string(s)
	}
}
