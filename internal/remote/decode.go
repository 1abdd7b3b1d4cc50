package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// Decode reads the error that Append wrote at the beginning of b, and returns it and the bytes that follow. The error
// is nil if a nil one was written.
//
// The problem says what is wrong with the bytes: cut, altered, or something else altogether. Such bytes never cause a
// panic, nor more memory than a small multiple of their length; rest is nil then. What could only be kept in part is no
// problem: see Opaque. It runs the Error and Unwrap methods of registered types, and nothing of the bytes is kept.
func Decode(b []byte) (err error, rest []byte, problem error) { //nolint:revive // the decoded error is the result here
	return decodeInside(b, 0)
}

// decodeInside is Decode for an error that is inside of so many others.
func decodeInside(b []byte, level int) (err error, rest []byte, problem error) { //nolint:revive // as Decode
	defer func() {
		if v := recover(); v != nil {
			err, rest, problem = nil, nil, fmt.Errorf("remote: decoding an error panicked: %s", sprint(v))
		}
	}()
	if len(b) == 0 || b[0] != version {
		return nil, nil, errors.New("remote: these bytes are no error: both ends must be the same program")
	}
	d := decoder{b: b[1:], left: maxNodes - 1, level: level}
	err = d.node(0)
	if d.problem != nil {
		return nil, nil, fmt.Errorf("remote: an error of %d bytes cannot be read at byte %d: %w", len(b), len(b)-len(d.b), d.problem)
	}
	return err, d.b, nil
}

// decoder reads until the first problem, after which every method returns a zero value.
type decoder struct {
	b       []byte
	left    int // nodes that may still be announced
	level   int // how many errors all of it is inside of
	problem error
}

var errCut = errors.New("the bytes end in the middle of it")

func (d *decoder) fail(err error) {
	if d.problem == nil {
		d.problem = err
	}
}

func (d *decoder) byte() byte {
	if d.problem != nil || len(d.b) == 0 {
		d.fail(errCut)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	if d.problem != nil {
		return 0
	}
	n, w := binary.Uvarint(d.b)
	if w <= 0 {
		d.fail(errCut)
		return 0
	}
	d.b = d.b[w:]
	return n
}

func (d *decoder) int() int {
	if d.problem != nil {
		return 0
	}
	n, w := binary.Varint(d.b)
	if w <= 0 {
		d.fail(errCut)
		return 0
	}
	d.b = d.b[w:]
	return int(n)
}

// bytes returns the bytes of a string; they alias the input.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail(errCut)
	}
	if d.problem != nil {
		return nil
	}
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) string() string { return string(d.bytes()) }

// count reads the number of things that take a byte each at least.
func (d *decoder) count(what string, most int) int {
	n := d.uint()
	if n > uint64(most) || n > uint64(len(d.b)) {
		d.fail(fmt.Errorf("%d %s announced in %d bytes", n, what, len(d.b)))
	}
	if d.problem != nil {
		return 0
	}
	return int(n)
}

// node reads an error, nil if it is that.
func (d *decoder) node(depth int) error {
	if depth > maxDepth {
		d.fail(fmt.Errorf("more than %d levels of errors", maxDepth))
	}
	tag := d.byte()
	if d.problem != nil {
		return nil
	}
	switch tag {
	case tagNil:
		return nil
	case tagOpaque:
		return d.opaque(depth)
	case tagSentinel:
		name, text := d.string(), d.string()
		if err, ok := sentinelNamed(name); ok {
			return err
		}
		return &Opaque{TypeName: "error", Note: fmt.Sprintf("no sentinel %q is registered here", name), lits: []string{text}}
	case tagErrno:
		n := d.uint()
		if n > 1<<31 {
			d.fail(fmt.Errorf("error number %d", n))
		}
		return syscall.Errno(n)
	case tagPath:
		return &fs.PathError{Op: d.string(), Path: d.string(), Err: d.cause(depth)}
	case tagLink:
		return &os.LinkError{Op: d.string(), Old: d.string(), New: d.string(), Err: d.cause(depth)}
	case tagSyscall:
		return &os.SyscallError{Syscall: d.string(), Err: d.cause(depth)}
	case tagNum:
		return &strconv.NumError{Func: d.string(), Num: d.string(), Err: d.cause(depth)}
	case tagTyped:
		return d.typed(depth)
	case tagPanic:
		flags := d.byte()
		p := &PanicError{Value: d.string(), Type: d.string(), Stack: d.string(), Goexit: flags&panicGoexit != 0}
		if flags&panicCause != 0 {
			p.Cause = d.cause(depth)
		}
		return Outward(p)
	case tagStack:
		stack := d.string()
		if len(d.b) > 0 && d.b[0] == tagStack {
			d.fail(errors.New("a stack of a stack"))
		}
		err := d.node(depth)
		if err == nil {
			d.fail(errors.New("a stack without an error"))
		}
		return &stacked{err, stack}
	case tagPanicNil:
		return new(runtime.PanicNilError)
	case tagError:
		return Outward(&Error{
			Worker: d.int(), Workers: d.int(), Rank: d.int(), Pid: d.int(), Thread: d.byte()&errorThread != 0,
			Func: d.string(), Host: d.string(), Type: d.string(), Message: d.string(), Stack: d.string(),
			Cause: d.cause(depth),
		})
	}
	d.fail(fmt.Errorf("unknown tag %d", tag))
	return nil
}

// cause reads an error that cannot be nil: the methods of what holds it would panic.
func (d *decoder) cause(depth int) error {
	if d.left--; d.left < 0 {
		d.fail(fmt.Errorf("more than %d errors", maxNodes))
	}
	err := d.node(depth + 1)
	if err == nil {
		d.fail(errors.New("an error without its cause"))
	}
	return err
}

// text reads literals; whoever calls checks that their number is right for the causes.
func (d *decoder) text() []string {
	n := d.count("pieces of text", maxNodes+1)
	if n == 0 {
		d.fail(errors.New("an error without text"))
		return []string{""}
	}
	lits := make([]string, n)
	for i := range lits {
		lits[i] = d.string()
	}
	return lits
}

func (d *decoder) fit(lits []string, causes []error) {
	if len(lits) != 1 && len(lits) != len(causes)+1 {
		d.fail(fmt.Errorf("%d pieces of text around %d causes", len(lits), len(causes)))
	}
}

func (d *decoder) nodes(depth int) []error {
	n := d.count("causes", d.left)
	if n == 0 {
		return nil
	}
	// Counted before they are there, or each level could claim memory for all of them.
	d.left -= n
	list := make([]error, n)
	for i := range list {
		list[i] = d.node(depth + 1)
	}
	return list
}

// isNil compares with nil only: errors that cannot be compared would panic in slices.Contains.
func isNil(err error) bool { return err == nil }

func (d *decoder) opaque(depth int) error {
	flags := d.byte()
	o := Opaque{TypeName: d.string()}
	if flags&flagNote != 0 {
		o.Note = d.string()
	}
	o.lits = d.text()
	o.causes = d.nodes(depth)
	d.fit(o.lits, o.causes)
	if slices.ContainsFunc(o.causes, isNil) {
		d.fail(errors.New("a cause that is nil"))
	}
	shape := int(flags & shapeMask)
	if (len(o.causes) > 0) != (shape != leaf) || shape == one && len(o.causes) > 1 || shape > many {
		d.fail(fmt.Errorf("%d causes where the shape is %d", len(o.causes), shape))
	}
	if d.problem != nil {
		return nil
	}
	return o.shaped(shape, flags&flagRuntime != 0)
}

// shaped returns o as an error of the shape.
func (o Opaque) shaped(shape int, isRuntime bool) error {
	switch {
	case shape == one:
		return &wrapped{o}
	case shape == many:
		return &joined{o}
	case isRuntime:
		return &runtimeError{o}
	}
	return &o
}

func (d *decoder) typed(depth int) error {
	name := d.string()
	o := Opaque{TypeName: d.string(), lits: d.text()}
	blob := d.bytes()
	inside := d.nodes(depth)
	total := d.uint()
	extra := d.nodes(depth)
	for _, list := range [][]error{inside, extra} {
		for _, err := range list {
			if err != nil {
				o.causes = append(o.causes, err)
			}
		}
	}
	d.fit(o.lits, o.causes)
	if slices.ContainsFunc(extra, isNil) {
		d.fail(errors.New("a cause that is nil"))
	}
	if d.problem != nil {
		return nil
	}

	c := carrierNamed(name)
	if c == nil && isElsewhere(name) {
		o.unread = &unread{name, slices.Clone(blob), inside}
		return o.lost("")
	}
	if c == nil {
		return o.lost(fmt.Sprintf("its type is not registered here, as %q", name))
	}
	value, problem := c.decode(blob, inside, d.level)
	if problem != nil {
		return o.lost("its value cannot be read: " + clip(problem.Error()))
	}
	own, _ := causesOf(value)
	if uint64(len(own)) >= total {
		extra = nil
	}
	// A value that has become another, or whose Error method panics, is shown as the other side saw it.
	if text, ok := textOf(value); ok && len(extra) == 0 && text == o.Error() {
		return value
	}
	return &typed{Opaque: o, value: value, extra: extra}
}

// lost returns o in the place of a value that could not be read.
func (o Opaque) lost(note string) error {
	o.Note = note
	switch len(o.causes) {
	case 0:
		return o.shaped(leaf, false)
	case 1:
		return o.shaped(one, false)
	}
	return o.shaped(many, false)
}
