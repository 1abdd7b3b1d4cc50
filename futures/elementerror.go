package futures

import (
	"fmt"
	"io"
	"strings"
)

// ElementError is the failure of one element of a map. It unwraps to the cause: a [*RemoteError] if the function failed, a [*BrokenError]
// if the worker was lost, or an error of the encoding. On a [ThreadPoolExecutor] it is the function's own error.
type ElementError struct {
	Index int   // of the element in the input, counted from 0
	Err   error // why it has no result

	fn string // the function, if Err does not name it
}

// newElementError returns the error of one element.
func newElementError(index int, fn string, err error) *ElementError {
	switch err.(type) { //nolint:errorlint // what it wraps does not say it in its text
	case *RemoteError, *BrokenError, *codingError:
		fn = ""
	}
	return &ElementError{Index: index, Err: err, fn: fn}
}

// codingError says that an argument or a result cannot be encoded or decoded.
type codingError struct {
	what  string
	cause error
}

func (e *codingError) Error() string { return e.what + ": " + e.cause.Error() }

func (e *codingError) Unwrap() error { return e.cause }

// Error names the element, the function, the worker if the cause has one, and the cause.
func (e *ElementError) Error() string {
	if e == nil || e.Err == nil {
		return e.head() + "it has failed"
	}
	return e.head() + e.Err.Error()
}

func (e *ElementError) head() string {
	if e == nil {
		return "an element: "
	}
	s := fmt.Sprintf("element %d: ", e.Index)
	if e.fn != "" {
		s += e.fn + " failed: "
	}
	return s
}

// Unwrap returns the cause.
func (e *ElementError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Format writes the line of [ElementError.Error]. With %+v it adds the details of the cause, such as a stack.
func (e *ElementError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+') && e != nil && e.Err != nil:
		io.WriteString(s, e.head())
		fmt.Fprintf(s, "%+v", e.Err)
	default:
		io.WriteString(s, e.Error())
	}
}

// ElementErrors is the error of a map that has gone on after failures: the failed elements, in the order of the input.
type ElementErrors []*ElementError

// shownErrors is how many of them Error names.
const shownErrors = 3

// Error says how many there are, and what the first of them are.
func (e ElementErrors) Error() string {
	var s strings.Builder
	switch len(e) {
	case 0:
		return "no element has failed"
	case 1:
		return e[0].Error()
	}
	fmt.Fprintf(&s, "%d elements have failed: ", len(e))
	for i, err := range e[:min(len(e), shownErrors)] {
		if i > 0 {
			s.WriteString("; ")
		}
		s.WriteString(err.Error())
	}
	if more := len(e) - shownErrors; more > 0 {
		fmt.Fprintf(&s, "; and %d more", more)
	}
	return s.String()
}

// Unwrap returns all of them.
func (e ElementErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}
