package remote_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/remote"
)

type withText struct{ at string }

func (e *withText) Error() string { return "broke" }
func (e *withText) Stack() string { return "main.solve\n\tsolve.go:7 " + e.at }

type withBytes struct{ err error }

func (e withBytes) Error() string { return "bytes: " + e.err.Error() }
func (e withBytes) Unwrap() error { return e.err }
func (e withBytes) Stack() []byte { return []byte("main.outer\n\touter.go:3\n") }

type frames []string

// Format writes a frame a line with %+v only, as packages do that record stacks.
func (f frames) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('+') {
		fmt.Fprint(s, "\n"+strings.Join(f, "\n"))
	}
}

type withFrames struct{}

func (withFrames) Error() string      { return "frames" }
func (withFrames) StackTrace() frames { return frames{"main.a", "main.b"} }

type panics struct{}

func (panics) Error() string { return "panics" }
func (panics) Stack() string { panic("no stack") }

type saved struct{ Code int }

func (e *saved) Error() string { return fmt.Sprint("saved ", e.Code) }
func (e *saved) Stack() string { return "main.saved" }

func TestTheStackOfAReturnedErrorArrivesWithIt(t *testing.T) {
	must(t, remote.RegisterErrorType[*saved]("saved"))
	for name, tt := range map[string]struct {
		err         error
		stack, text string
	}{
		"as text":                    {&withText{"here"}, "main.solve\n\tsolve.go:7 here", "broke"},
		"as bytes, around another":   {withBytes{errors.New("x")}, "main.outer\n\touter.go:3", "bytes: x"},
		"as frames":                  {withFrames{}, "main.a\nmain.b", "frames"},
		"inside":                     {fmt.Errorf("row 5: %w", &withText{"in"}), "main.solve\n\tsolve.go:7 in", "row 5: broke"},
		"of several, the innermost":  {withBytes{&withText{"deep"}}, "main.solve\n\tsolve.go:7 deep", "bytes: broke"},
		"of one of those joined":     {errors.Join(errors.New("y"), withFrames{}), "main.a\nmain.b", "y\nframes"},
		"of a registered type":       {&saved{7}, "main.saved", "saved 7"},
		"none, for the method fails": {panics{}, "", "panics"},
		"none":                       {errors.New("plain"), "", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			once := across(t, tt.err)
			for _, got := range []error{once, across(t, once)} { // a task may return what another one has
				all := remote.New(remote.Error{Func: "f"}, got)
				e, ok := errors.AsType[*remote.Error](all)
				if !ok || e.Stack != tt.stack || e.Message != tt.text || got.Error() != tt.text {
					t.Errorf("got %q with the stack %q, want %q with %q", e.Message, e.Stack, tt.text, tt.stack)
				}
				if e.Type != fmt.Sprintf("%T", tt.err) {
					t.Errorf("its type is %s, was %T", e.Type, tt.err)
				}
				long := fmt.Sprintf("%+v", all)
				if !strings.Contains(long, tt.stack) || strings.Contains(long, "stacked") {
					t.Errorf("%%+v shows\n%s", long)
				}
			}
		})
	}
	if got, ok := errors.AsType[*saved](across(t, fmt.Errorf("a: %w", &saved{7}))); !ok || got.Code != 7 {
		t.Errorf("the registered type beside its stack: %v", got)
	}
}

func TestStacksHaveALimitAndDamagedOnesAreRefused(t *testing.T) {
	var err error = &withText{strings.Repeat("x", 1<<20)}
	for range 100 {
		err = withBytes{err}
	}
	if n := len(remote.Append(nil, err)); n > 1<<19 {
		t.Errorf("%d bytes", n)
	}
	b := remote.Append(nil, withFrames{})
	at := strings.Index(string(b), "main.a") - 2 // the tag, and a length of one byte
	twice := append(append(append([]byte(nil), b[:at]...), b[at], 0), b[at:]...)
	if _, _, problem := remote.Decode(twice); problem == nil {
		t.Error("a stack of a stack is read")
	}
	if _, _, problem := remote.Decode(append(append([]byte(nil), b[:at]...), b[at], 1, 'x', 0)); problem == nil {
		t.Error("a stack without an error is read")
	}
}
