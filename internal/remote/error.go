// Package remote carries errors and panics from the process where they happened to the one that asked.
//
// Append writes any error, Decode reads it back as a tree on which errors.Is and errors.As go on working: for the
// sentinels and error types of the standard library that can be carried whole, and for those that were registered. All
// others arrive as their exact text, the name of their type, and their causes.
package remote

import (
	"fmt"
	"io"
	"strings"
)

// Error is the failure of a task in another process: what failed, where, and with what. Package futures declares it for users,
// with the same fields.
type Error struct {
	Func    string
	Worker  int
	Workers int
	Rank    int
	Host    string
	Pid     int
	Thread  bool
	Type    string
	Message string
	Stack   string
	Cause   error
}

// New returns the error for a task that ended with cause, which Decode returned. The Func, Worker, Workers, Rank, Host, Pid and
// Thread are those of at; the rest is read from the cause.
func New(at Error, cause error) error {
	if cause == nil {
		cause = &Opaque{TypeName: "error", lits: []string{"no error was sent"}}
	}
	at.Cause = cause
	at.Type = TypeName(cause)
	at.Message, _ = textOf(cause)
	at.Stack = ""
	at.Stack = stackIn(cause, maxShown)
	return Outward(&at)
}

// stackIn finds the stack of a panic, or the innermost that an error carried. It asks nothing of errors that are not this package's: their methods are the user's
// code, and may panic or never return.
func stackIn(err error, levels int) string {
	switch e := inward(err).(type) {
	case *PanicError:
		if e != nil {
			return e.Stack
		}
	case *stacked:
		if s := stackIn(e.error, levels-1); levels > 0 && s != "" {
			return s
		}
		return e.stack
	case node:
		for _, c := range e.children() {
			if levels > 0 {
				if s := stackIn(c, levels-1); s != "" {
					return s
				}
			}
		}
	}
	return ""
}

// Error tells on one line what failed, where, and the message; a message of several lines keeps them. The stack is
// what %+v adds.
func (e *Error) Error() string {
	s := "a worker"
	if e.Func != "" {
		s = e.Func
	}
	s += " failed on " + e.where()
	if e.Message != "" || e.Cause != nil {
		s += ": " + e.Message
	}
	if o, ok := e.Cause.(noted); ok && o.note() != "" {
		s += " (" + o.note() + ")"
	}
	return s
}

func (e *Error) where() string {
	var more []string
	if e.Rank >= 0 {
		more = append(more, fmt.Sprintf("rank %d", e.Rank))
	}
	if e.Host != "" {
		more = append(more, e.Host)
	}
	switch {
	case e.Thread:
		more = []string{"a goroutine of this program"}
	case e.Pid != 0:
		more = append(more, fmt.Sprintf("pid %d", e.Pid))
	}
	if len(more) == 0 {
		return fmt.Sprintf("worker %d", e.Worker)
	}
	return fmt.Sprintf("worker %d (%s)", e.Worker, strings.Join(more, ", "))
}

// Unwrap returns what the task returned, as far as it could be carried.
func (e *Error) Unwrap() error { return e.Cause }

// Format writes the line of Error, and with %+v also the tree of causes with their types and the stack of the other
// process.
func (e *Error) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+'):
		io.WriteString(s, e.Error())
		var b strings.Builder
		lines := maxLines
		if e.Cause != nil {
			writeTree(&b, e.Cause, 1, &lines)
		}
		io.WriteString(s, b.String())
		if e.Stack != "" {
			fmt.Fprintf(s, "\nstack on %s:\n%s", e.where(), strings.TrimRight(e.Stack, "\n"))
		}
	default:
		io.WriteString(s, e.Error())
	}
}

const (
	maxLines = 64 // causes that %+v shows
	maxShown = 16 // levels of them
)

// writeTree writes err and its causes, one a line, indented by level.
func writeTree(b *strings.Builder, err error, level int, lines *int) {
	indent := "\n" + strings.Repeat("  ", level)
	if *lines--; *lines < 0 || level > maxShown {
		if *lines == -1 || level == maxShown+1 {
			b.WriteString(indent + "…")
		}
		return
	}
	if s, ok := err.(*stacked); ok {
		err = s.error
	}
	text, _ := textOf(err)
	b.WriteString(indent + TypeName(err) + ": " + strings.ReplaceAll(text, "\n", indent+"  "))
	if o, ok := err.(noted); ok && o.note() != "" {
		b.WriteString(indent + "  (" + o.note() + ")")
	}
	if t, ok := err.(*typed); ok {
		err = t.value
	}
	causes, _ := causesOf(err)
	for _, c := range causes {
		writeTree(b, c, level+1, lines)
	}
}

// TypeName returns the name of an error's type: that of the original for one that Decode could only keep as text.
func TypeName(err error) string {
	if o, ok := err.(interface{ typeName() string }); ok {
		return o.typeName()
	}
	return fmt.Sprintf("%T", err)
}
