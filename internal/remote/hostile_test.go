package remote_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/remote"
)

type bomb struct{ value any }

func (e *bomb) Error() string { panic(e.value) }
func (e *bomb) Unwrap() error { panic("Unwrap too") }

type unwrapBomb struct{}

func (unwrapBomb) Error() string   { return "quiet" }
func (unwrapBomb) Unwrap() []error { panic("boom") }

type wheel struct{ next error }

func (e *wheel) Error() string { return "wheel" }
func (e *wheel) Unwrap() error { return e.next }

type plainNil struct{ text string }

func (e *plainNil) Error() string { return e.text }

func TestAppendMakesTextOfWhatMisbehaves(t *testing.T) {
	round := &wheel{}
	round.next = fmt.Errorf("again: %w", round)
	var typedNil *plainNil
	var nilPath *fs.PathError
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"Error panics":             {&bomb{"tick"}, "*remote_test.bomb (its Error method panicked: tick)"},
		"Error panics with itself": {&bomb{&bomb{1}}, "*remote_test.bomb (its Error method panicked: *remote_test.bomb)"},
		"Error panics deep inside": {fmt.Errorf("x %w", unwrapBomb{}), "x quiet"},
		"Unwrap panics":            {unwrapBomb{}, "quiet"},
		"wraps itself":             {round, "wheel"},
		"typed nil":                {typedNil, "nil *remote_test.plainNil"},
		"nil *fs.PathError":        {nilPath, "nil *fs.PathError"},
		"path error without cause": {&fs.PathError{Op: "o"}, "*fs.PathError (its Error method panicked: runtime error: invalid memory address or nil pointer dereference)"},
		"cause is a typed nil":     {&wheel{typedNil}, "wheel"},
		"cannot be a map key":      {incomparable{"a"}, "a"},
		"nil *Error":               {(*remote.Error)(nil), "nil *remote.Error"},
		"nil *PanicError":          {(*remote.PanicError)(nil), "nil *remote.PanicError"},
		"Error without cause":      {&remote.Error{Rank: -1, Message: "m"}, "a worker failed on worker 0: m"},
	} {
		got := across(t, c.err)
		if got == nil || got.Error() != c.want {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
	}
}

func TestARegisteredTypedNilStaysAnErrorThatCanBePrinted(t *testing.T) {
	must(t, remote.RegisterErrorType[*plainNil]("plainNil"))
	got := across(t, (*plainNil)(nil))
	if got == nil || got.Error() != "nil *remote_test.plainNil" {
		t.Errorf("got %v", got)
	}
	if v, ok := errors.AsType[*plainNil](got); !ok || v != nil {
		t.Errorf("errors.As: %v %v", v, ok)
	}
}

// level is a chain whose Error does not recurse, so that it can be as deep as memory allows.
type level struct {
	next error
	text string
}

func (e *level) Error() string { return e.text }
func (e *level) Unwrap() error { return e.next }

func TestAMillionLevelsAreBounded(t *testing.T) {
	var err error = io.EOF
	for range 1_000_000 {
		err = &level{err, "level"}
	}
	b := remote.Append(nil, err)
	got, _, problem := remote.Decode(b)
	must(t, problem)
	if len(b) > 1<<20 {
		t.Errorf("%d bytes", len(b))
	}
	depth, last := 0, got
	for e := got; e != nil; e = errors.Unwrap(e) {
		depth, last = depth+1, e
	}
	o, ok := errors.AsType[*remote.Opaque](last)
	if depth != 1001 || !ok || !strings.Contains(o.Note, "left behind") {
		t.Errorf("%d levels, the last %#v", depth, last)
	}
}

func TestALongChainOfTextsIsNotHeldOncePerLevel(t *testing.T) {
	err := error(syscall.EIO)
	for i := range 900 {
		err = fmt.Errorf("level %d of them: %w", i, err)
	}
	b := remote.Append(nil, err)
	if len(b) > 900*64 {
		t.Errorf("%d bytes for a text of %d", len(b), len(err.Error()))
	}
	got, _, problem := remote.Decode(b)
	must(t, problem)
	if got.Error() != err.Error() || !errors.Is(got, syscall.EIO) {
		t.Error("the text or the cause is lost")
	}
}

func TestWideAndBranchingTreesAreBounded(t *testing.T) {
	wide := make([]error, 10_000)
	for i := range wide {
		wide[i] = remote.Recovered(io.EOF, nil)
	}
	var doubling error = io.EOF
	for range 64 {
		doubling = &other{"both", []error{doubling, doubling}}
	}
	var mixed error = io.EOF
	for range 1200 {
		mixed = errors.Join(remote.New(remote.Error{Func: "f"}, mixed), &fs.PathError{Op: "o", Err: io.EOF})
	}
	for name, err := range map[string]error{"wide": &other{"wide", wide}, "doubling": doubling, "mixed": mixed} {
		b := remote.Append(nil, err)
		got, _, problem := remote.Decode(b)
		if problem != nil || got.Error() != err.Error() || !errors.Is(got, io.EOF) {
			t.Errorf("%s: %.100v, %v", name, got, problem)
		}
	}
	o, ok := errors.AsType[*remote.Opaque](across(t, &other{"wide", wide}))
	if !ok || !strings.Contains(o.Note, "7953 of its 10000 causes were left behind") {
		t.Errorf("note: %q", o.Note)
	}
}

func TestDecodeRefusesEveryCutOfAnError(t *testing.T) {
	must(t, remote.RegisterErrorType[*operation]("operation"))
	for _, err := range samples() {
		b := remote.Append(nil, err)
		for n := range b {
			if got, _, problem := remote.Decode(b[:n:n]); problem == nil {
				t.Fatalf("%v cut to %d of %d bytes reads as %v", err, n, len(b), got)
			}
		}
	}
}

func TestNestedAnnouncementsDoNotClaimMemory(t *testing.T) {
	// Each level is a join that announces 4,000 causes and begins the first.
	b := []byte{1}
	for range 900 {
		b = append(b, 1, 2, 0, 1, 0, 0xa0, 0x1f)
	}
	b = append(b, make([]byte, 5000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, problem := remote.Decode(b)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; problem == nil || n > 1<<20 {
		t.Errorf("%d bytes for %d, %v", n, len(b), problem)
	}
}

func samples() []error {
	return []error{
		nil,
		io.EOF,
		syscall.ENOENT,
		errors.New("plain"),
		fmt.Errorf("a: %w", fmt.Errorf("b %w c %w", io.EOF, errors.New("d"))),
		errors.Join(errors.New("x"), &fs.PathError{Op: "open", Path: "p", Err: syscall.EACCES}),
		&operation{"n", io.EOF, []error{errors.New("e"), nil}},
		remote.Recovered(io.ErrShortWrite, []byte("stack")),
		remote.Recovered(nil, []byte("stack")),
		remote.New(remote.Error{Func: "f", Worker: 3, Rank: -1, Host: "h", Pid: 9}, errors.New("r")),
		&bomb{1},
	}
}

func FuzzDecode(f *testing.F) {
	if err := remote.RegisterErrorType[*operation]("operation"); err != nil {
		f.Fatal(err)
	}
	for _, err := range samples() {
		f.Add(remote.Append(nil, err))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err, rest, problem := remote.Decode(b)
		if problem != nil {
			if err != nil || rest != nil {
				t.Fatalf("a problem and a result: %v, %q", err, rest)
			}
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("nothing was read")
		}
		if err == nil {
			return
		}
		// What could be read can be used in every way, and sent on.
		errors.Is(err, io.EOF)
		_ = fmt.Sprintf("%+v", remote.New(remote.Error{}, err))
		again, _, problem := remote.Decode(remote.Append(nil, err))
		if problem != nil {
			t.Fatalf("sent on: %v", problem)
		}
		if err.Error() != again.Error() {
			t.Fatalf("sent on: %q became %q", err, again)
		}
	})
}
