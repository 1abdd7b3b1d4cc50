package remote

import (
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
)

// PanicError is a panic, or a call of runtime.Goexit, as an error. Package futures declares it for users, with the same fields.
type PanicError struct {
	Value  string
	Type   string
	Stack  string
	Goexit bool
	Cause  error // the value if it was an error
}

// Recovered returns the error for what recover returned, with the stack that runtime/debug.Stack had at the time.
//
// A nil value means that the function neither returned nor panicked, so it called runtime.Goexit: panic(nil) is
// recovered as a *runtime.PanicNilError. (Under GODEBUG=panicnil=1 the two cannot be told apart.)
func Recovered(v any, stack []byte) error {
	p := &PanicError{Stack: string(stack)}
	if v == nil {
		p.Goexit = true
		return Outward(p)
	}
	p.Type = reflect.TypeOf(v).String()
	p.Value = sprint(v)
	if err, ok := v.(error); ok {
		p.Cause = err
	}
	return Outward(p)
}

// Error tells that it was a panic, and the value. The type is there for values that are more than a string. The stack is
// what %+v adds.
func (p *PanicError) Error() string {
	switch {
	case p.Goexit:
		return "runtime.Goexit was called, so there is no result: return an error instead (FailNow, Fatal and SkipNow of package testing call it too)"
	case p.Type == "string" || p.Type == "":
		return "panic: " + p.Value
	}
	return "panic: " + p.Value + " (" + p.Type + ")"
}

// Unwrap returns the value of the panic if it was an error.
func (p *PanicError) Unwrap() error { return p.Cause }

// Format writes the line of Error, and with %+v the stack below it.
func (p *PanicError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", p.Error())
	case verb == 'v' && s.Flag('+') && p.Stack != "":
		io.WriteString(s, p.Error()+"\n"+strings.TrimRight(p.Stack, "\n"))
	default:
		io.WriteString(s, p.Error())
	}
}

// textOf returns the text of an error, or why there is none and false.
func textOf(err error) (text string, ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		ok = false
		if r := reflect.ValueOf(err); r.Kind() == reflect.Pointer && r.IsNil() {
			text = "nil " + r.Type().String()
			return
		}
		text = fmt.Sprintf("%T (its Error method panicked: %s)", err, panicText(v))
	}()
	return clip(err.Error()), true
}

// panicText is sprint for the panic of an Error method, whose value may be an error that panics again.
func panicText(v any) string {
	if err, ok := v.(error); ok {
		if _, own := v.(runtime.Error); !own {
			return reflect.TypeOf(err).String()
		}
	}
	return sprint(v)
}

// maxText is the longest text that is kept, in bytes.
const maxText = 16 << 20

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes cut off)", s[:maxText], len(s)-maxText)
}

// sprint writes any value as text. Package fmt catches what panics in a method, but follows a cyclic map or slice until
// the stack overflows, which nothing can catch: such values are written as their type.
func sprint(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T (cannot be printed)", v)
		}
	}()
	switch v := v.(type) {
	case string:
		return clip(v)
	case error:
		text, _ = textOf(v)
		return text
	case fmt.Stringer, fmt.Formatter:
		return clip(fmt.Sprint(v))
	}
	budget := 4096
	if !printable(reflect.ValueOf(v), 0, &budget) {
		return fmt.Sprintf("%T (too large or too deep to print)", v)
	}
	return clip(fmt.Sprintf("%+v", v))
}

// printable tells whether fmt writes v within a budget of values and some levels.
func printable(v reflect.Value, level int, budget *int) bool {
	if *budget--; *budget < 0 || level > 32 {
		return false
	}
	switch v.Kind() {
	case reflect.Pointer:
		// Below the top fmt writes a pointer as an address.
		return level > 0 || v.IsNil() || printable(v.Elem(), level+1, budget)
	case reflect.Interface:
		return v.IsNil() || printable(v.Elem(), level+1, budget)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !printable(v.Index(i), level+1, budget) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !printable(it.Key(), level+1, budget) || !printable(it.Value(), level+1, budget) {
				return false
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !printable(v.Field(i), level+1, budget) {
				return false
			}
		}
	}
	return true
}
