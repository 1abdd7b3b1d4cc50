package pkl5

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ErrCorrupt is in the chain of every error that says the bytes were not written by Encode for this type: cut,
// altered, or meant for another.
var ErrCorrupt = errors.New("corrupt or truncated data")

// ErrUnregistered is in the chain of the error about a concrete type that met an interface without RegisterType.
var ErrUnregistered = errors.New("type is not registered")

// UnsupportedError says that a type cannot be sent, and which part of it is to blame.
type UnsupportedError struct {
	Type   reflect.Type // the part that cannot be sent
	Path   string       // how to get there from the type that was compiled: "main.Job.Done.ch"
	Reason string       // why, and what to do instead
}

// Error names the path, the type and the reason.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("pkl5: %s: %s cannot be sent: %s", e.Path, e.Type, e.Reason)
}

// ValueError says which part of a value could not be encoded or decoded.
type ValueError struct {
	Path string // "main.Job.Items[3].Err"
	Err  error  // the cause: what a marshaller returned, or an error about ErrCorrupt or ErrUnregistered
}

// Error names the path and the cause.
func (e *ValueError) Error() string { return fmt.Sprintf("pkl5: %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

// trail is an error on its way up; each level adds its step, so success pays nothing for paths.
type trail struct {
	steps []string // innermost first
	err   error
}

func (t *trail) Error() string { return t.err.Error() }

// at adds a step to the path of err. Steps in the middle of a very deep value are dropped.
func at(err error, step string) error {
	t, ok := err.(*trail) //nolint:errorlint // a trail is never wrapped
	if !ok {
		t = &trail{err: err}
	}
	const most = 24
	switch {
	case len(t.steps) < most:
		t.steps = append(t.steps, step)
	default:
		copy(t.steps[most/2+1:], t.steps[most/2+2:])
		t.steps[most/2] = "…"
		t.steps[most-1] = step
	}
	return t
}

// pathOf returns the steps of err, outermost first, and its cause.
func pathOf(err error) (string, error) {
	t, ok := err.(*trail) //nolint:errorlint // a trail is never wrapped
	if !ok {
		return "", err
	}
	var b strings.Builder
	for i := len(t.steps) - 1; i >= 0; i-- {
		b.WriteString(t.steps[i])
	}
	return b.String(), t.err
}

func stepIndex(i int) string { return fmt.Sprintf("[%d]", i) }

// stepKey renders a map key for a path, short whatever the key is.
func stepKey(k any) string {
	s := fmt.Sprint(k)
	if v := reflect.ValueOf(k); v.IsValid() && v.Kind() == reflect.String {
		s = fmt.Sprintf("%q", v.String())
	}
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:37], "") + "…"
	}
	return "[" + s + "]"
}
