package remote

import (
	"fmt"
	"reflect"
	"strings"
)

// Limits of the stacks that travel with errors: an error may wrap many that have one.
const (
	maxStacks = 16
	maxStack  = 64 << 10 // bytes of each
)

// stackOf returns the stack that an error carries, as text: what its method Stack returns, a string or bytes, or what its method
// StackTrace returns, printed with %+v. These are the methods that packages which make such errors give them.
func stackOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	switch e := err.(type) {
	case *stacked:
		return e.stack
	case interface{ Stack() string }:
		text = e.Stack()
	case interface{ Stack() []byte }:
		text = string(e.Stack())
	default:
		m := reflect.ValueOf(err).MethodByName("StackTrace")
		if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
			return ""
		}
		text = fmt.Sprintf("%+v", m.Call(nil)[0].Interface())
	}
	if text = strings.Trim(text, "\n"); len(text) > maxStack {
		text = fmt.Sprintf("%s… (%d bytes cut off)", text[:maxStack], len(text)-maxStack)
	}
	return text
}

// stacked is an error that has come with the stack that it carried.
type stacked struct {
	error
	stack string
}

func (e *stacked) Unwrap() error    { return e.error }
func (e *stacked) typeName() string { return TypeName(e.error) }

func (e *stacked) note() string {
	if n, ok := e.error.(noted); ok {
		return n.note()
	}
	return ""
}
