package remote

import (
	"fmt"
	"strings"
)

// Opaque is an error of which only the text, the type's name and the causes could be carried.
//
// errors.As finds it for every such error; errors.Unwrap on the error itself, not on the Opaque, gives the causes.
type Opaque struct {
	TypeName string
	Note     string // what was lost on the way beyond the type, or ""

	// The text is the literals with the texts of the causes between them: one literal when it does not contain them.
	// Joined when asked for, so that a long chain does not hold the text of every level.
	lits   []string
	causes []error

	unread *unread // nil for most
}

// Error returns the text, exactly as it was.
func (o *Opaque) Error() string {
	if len(o.lits) == 1 {
		return o.lits[0]
	}
	var b strings.Builder
	o.write(&b)
	return b.String()
}

func (o *Opaque) write(b *strings.Builder) {
	for i, lit := range o.lits {
		b.WriteString(lit)
		if i == len(o.lits)-1 {
			return
		}
		if w, ok := o.causes[i].(interface{ write(*strings.Builder) }); ok {
			w.write(b)
			continue
		}
		text, _ := textOf(o.causes[i])
		b.WriteString(text)
	}
}

func (o *Opaque) typeName() string { return o.TypeName }
func (o *Opaque) note() string     { return o.Note }

// As finds the value of an error whose type was not known here when it came.
func (o *Opaque) As(target any) bool { return o.as(target) }

// node is an Opaque in any variant.
type node interface{ children() []error }

func (o *Opaque) children() []error { return o.causes }

// noted is an error that can tell what of it was lost.
type noted interface{ note() string }

// runtimeError is an Opaque that was a runtime.Error, and still is one to errors.As.
type runtimeError struct{ Opaque }

func (*runtimeError) RuntimeError()        {}
func (e *runtimeError) As(target any) bool { return e.as(target) }

// wrapped is an Opaque with one cause, as %w makes it.
type wrapped struct{ Opaque }

func (e *wrapped) Unwrap() error      { return e.causes[0] }
func (e *wrapped) As(target any) bool { return e.as(target) }

// joined is an Opaque with any number of causes, as errors.Join and several %w make it.
type joined struct{ Opaque }

func (e *joined) Unwrap() []error    { return e.causes }
func (e *joined) As(target any) bool { return e.as(target) }

// as lets errors.As find the Opaque inside the variants.
func (o *Opaque) as(target any) bool {
	p, ok := target.(**Opaque)
	if ok {
		*p = o
		return true
	}
	return o.unread.read(target)
}

// typed is a value of a registered type that does not tell the whole by itself: its text here is not what it was there,
// or it has lost causes that were in fields which do not travel.
type typed struct {
	Opaque
	value error
	extra []error
}

func (e *typed) Unwrap() []error { return append([]error{e.value}, e.extra...) }

// The shapes of a node's causes.
const (
	leaf = iota
	one
	many
)

// causesOf returns the causes of err that are not nil, and whether it has one or many to Unwrap.
func causesOf(err error) (causes []error, shape int) {
	defer func() {
		if recover() != nil {
			causes, shape = nil, leaf
		}
	}()
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if c := u.Unwrap(); c != nil {
			return []error{c}, one
		}
	case interface{ Unwrap() []error }:
		for _, c := range u.Unwrap() {
			if c != nil {
				causes = append(causes, c)
			}
		}
		if len(causes) > 0 {
			return causes, many
		}
	}
	return nil, leaf
}

// split cuts text at the texts of the causes, in order: the literals before, between and after them. One literal, the
// whole, when they are not all in it.
func split(text string, causes []string) []string {
	lits := make([]string, 0, len(causes)+1)
	rest := text
	for _, c := range causes {
		before, after, found := strings.Cut(rest, c)
		if !found {
			return []string{text}
		}
		lits = append(lits, before)
		rest = after
	}
	return append(lits, rest)
}

func cutNote(kept, had int) string {
	return fmt.Sprintf("%d of its %d causes were left behind: a tree of errors carries %d in all", had-kept, had, maxNodes)
}
