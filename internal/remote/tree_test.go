package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/remote"
)

func TestANilErrorStaysNil(t *testing.T) {
	if got := across(t, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestSentinelsOfTheStandardLibraryKeepTheirIdentity(t *testing.T) {
	for _, want := range []error{
		context.Canceled, context.DeadlineExceeded, errors.ErrUnsupported,
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.ErrNoProgress, io.ErrShortBuffer, io.ErrShortWrite,
		fs.ErrClosed, fs.ErrExist, fs.ErrInvalid, fs.ErrNotExist, fs.ErrPermission, fs.SkipAll, fs.SkipDir,
		os.ErrProcessDone, os.ErrDeadlineExceeded, os.ErrNoDeadline, os.ErrNotExist,
		strconv.ErrRange, strconv.ErrSyntax,
	} {
		if got := across(t, want); got != want {
			t.Errorf("%v: got %#v", want, got)
		}
		wrapped := across(t, fmt.Errorf("reading: %w", want))
		if !errors.Is(wrapped, want) || wrapped.Error() != "reading: "+want.Error() {
			t.Errorf("%v wrapped: got %v", want, wrapped)
		}
	}
}

// Registration lasts as long as the process, so what is registered is made once.
var (
	errOurs  = errors.New("ours")
	errFirst = errors.New("first")
	errAgain = errors.New("again")
)

func TestRegisteredSentinelsKeepTheirIdentity(t *testing.T) {
	must(t, remote.RegisterSentinel("remote_test.errOurs", errOurs))
	must(t, remote.RegisterSentinel("remote_test.errOurs", errOurs))
	if got := across(t, errors.Join(io.EOF, fmt.Errorf("x: %w", errOurs))); !errors.Is(got, errOurs) {
		t.Errorf("errors.Is does not find it in %v", got)
	}
}

type incomparable []string

func (e incomparable) Error() string { return strings.Join(e, " ") }

func TestSentinelsThatCannotWorkAreRefused(t *testing.T) {
	must(t, remote.RegisterSentinel("remote_test.first", errFirst))
	must(t, remote.RegisterSentinel("remote_test.again", errAgain))
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"", io.EOF, "no name"},
		{"x", nil, `sentinel "x" is nil`},
		{"io.EOF", errors.New("other"), `"io.EOF" is taken`},
		{"remote_test.first", errors.New("other"), "is taken"},
		{"remote_test.more", errAgain, `registered already, as "remote_test.again"`},
		{"x", incomparable{"a"}, "cannot be compared"},
	} {
		if err := remote.RegisterSentinel(c.name, c.err); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want one about %q", c.name, err, c.want)
		}
	}
}

func TestErrorTypesOfTheStandardLibraryArriveWhole(t *testing.T) {
	_, open := os.Open("/nonexistent/file")
	_, parse := strconv.Atoi("12x")
	for _, want := range []error{
		open,
		parse,
		syscall.ENOSPC,
		&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EXDEV},
		&os.SyscallError{Syscall: "mmap", Err: syscall.ENOMEM},
		&fs.PathError{Op: "read", Path: "x", Err: &os.SyscallError{Syscall: "read", Err: io.EOF}},
	} {
		got := across(t, want)
		if d := cmp.Diff(want, got, cmp.FilterValues(bare, cmp.Comparer(func(a, b error) bool { return a == b }))); d != "" {
			t.Errorf("%v (-sent +arrived):\n%s", want, d)
		}
		if got.Error() != want.Error() {
			t.Errorf("text: sent %q, arrived %q", want, got)
		}
	}
	if !errors.Is(across(t, open), fs.ErrNotExist) {
		t.Error("errors.Is does not find fs.ErrNotExist in what Open returned")
	}
	if !errors.Is(across(t, parse), strconv.ErrSyntax) {
		t.Error("errors.Is does not find strconv.ErrSyntax in what Atoi returned")
	}
}

// bare tells which errors are compared by identity, for want of exported fields.
func bare(a, _ error) bool {
	switch a.(type) {
	case *fs.PathError, *os.LinkError, *os.SyscallError, *strconv.NumError:
		return false
	}
	return true
}

type temporary struct{ cause error }

func (e *temporary) Error() string { return "temporarily " + e.cause.Error() }
func (e *temporary) Unwrap() error { return e.cause }

func TestChainsKeepTheirTextAndTheirTree(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for name, want := range map[string]error{
		"one %w":             fmt.Errorf("x: %w", a),
		"three %w in a row":  fmt.Errorf("1: %w", fmt.Errorf("2: %w", fmt.Errorf("3: %w", io.EOF))),
		"text after %w":      fmt.Errorf("<%w>!", a),
		"text without cause": &other{text: "nothing in common", causes: []error{a}},
		"several %w":         fmt.Errorf("%w and %w, or %w", a, io.EOF, b),
		"%w out of order":    fmt.Errorf("%[2]w before %[1]w", a, errors.New("zz")),
		"errors.Join":        errors.Join(a, nil, errors.Join(b, io.EOF)),
		"own type":           fmt.Errorf("x: %w", &temporary{a}),
		"typed in between":   fmt.Errorf("x: %w", &fs.PathError{Op: "o", Path: "p", Err: fmt.Errorf("y: %w", syscall.EIO)}),
		"empty text":         fmt.Errorf("%w%w", errors.New(""), errors.New("")),
		"not UTF-8":          errors.New("\xff\xfe"),
	} {
		got := across(t, want)
		if d := cmp.Diff(drawing(want), drawing(got)); d != "" {
			t.Errorf("%s (-sent +arrived):\n%s", name, d)
		}
		if d := cmp.Diff(drawing(want), drawing(across(t, got))); d != "" {
			t.Errorf("%s, sent on (-sent +arrived):\n%s", name, d)
		}
	}
}

type other struct {
	text   string
	causes []error
}

func (e *other) Error() string   { return e.text }
func (e *other) Unwrap() []error { return e.causes }

// drawing writes a tree with the types, texts and shapes of all its nodes.
func drawing(err error) string {
	s := fmt.Sprintf("%s %q", remote.TypeName(err), err.Error())
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if c := u.Unwrap(); c != nil {
			s += " → " + drawing(c)
		}
	case interface{ Unwrap() []error }:
		s += " ["
		for _, c := range u.Unwrap() {
			s += drawing(c) + ", "
		}
		s += "]"
	}
	return s
}

func TestOtherErrorsArriveAsTextAndTypeName(t *testing.T) {
	exit := exec.Command("sh", "-c", "exit 3").Run()
	for want, name := range map[error]string{
		errors.New("plain"):       "*errors.errorString",
		&temporary{io.EOF}:        "*remote_test.temporary",
		fmt.Errorf("a: %w", exit): "*fmt.wrapError",
	} {
		got := across(t, want)
		o, ok := errors.AsType[*remote.Opaque](got)
		if !ok || o.TypeName != name || o.Error() != want.Error() || got.Error() != want.Error() {
			t.Errorf("%v: got %#v", want, got)
		}
	}
	if name := remote.TypeName(errors.Unwrap(across(t, fmt.Errorf("a: %w", exit)))); name != "*exec.ExitError" {
		t.Errorf("the cause arrives as %s", name)
	}
}

func TestRuntimeErrorsStayRuntimeErrors(t *testing.T) {
	p := caught(func() { var m map[string]int; m["a"] = 1 }) //nolint:staticcheck // the panic is what is tested
	got := across(t, p)
	var re interface{ RuntimeError() }
	if !errors.As(got, &re) {
		t.Errorf("no runtime.Error in %v", got)
	}
}
