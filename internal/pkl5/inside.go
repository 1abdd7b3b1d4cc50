package pkl5

import (
	"errors"
	"reflect"
)

// An error inside a value travels as a task's own does: package remote, which knows how, is above this one.
var (
	appendError func(dst []byte, err error, level int) []byte
	decodeError func(b []byte, level int) (err error, rest []byte, problem error)
)

// CarryErrors says how errors travel that stand in interfaces and are of no registered type. Level is how many errors they are inside of
// that a Codec takes across themselves. It is called once, in an init function.
func CarryErrors(
	appendTo func(dst []byte, err error, level int) []byte, decode func(b []byte, level int) (err error, rest []byte, problem error),
) {
	appendError, decodeError = appendTo, decode
}

var errorType = reflect.TypeFor[error]()

// known tells whether values of t travel inside interfaces as they are.
func known(t reflect.Type) bool {
	_, ok := theCatalogue().byType.Load(t)
	return ok
}

// mostLevels is how many errors may be inside of each other by way of fields that are not of type error or []error: such a chain may
// lead back to where it began.
const mostLevels = 4

// error writes an error that is of no registered type.
func (e *Encoder) error(err error) error {
	if appendError == nil {
		_, err := theCatalogue().lookup(reflect.TypeOf(err))
		return err
	}
	if e.Level >= mostLevels {
		return errors.New("errors are inside of each other too deeply, or contain themselves")
	}
	b := appendError(nil, err, e.Level+1)
	e.Stream = append(e.Stream, tagName, 0)
	e.Stream = append(appendUint(e.Stream, uint64(len(b))), b...)
	return nil
}

// error reads what Encoder.error wrote.
func (d *Decoder) error() (any, error) {
	n, err := d.uint()
	if err != nil {
		return nil, err
	}
	b, err := d.take(n)
	if err != nil {
		return nil, err
	}
	if decodeError == nil {
		return nil, d.corrupt("an error inside a value")
	}
	if d.Level >= mostLevels {
		return nil, d.corrupt("errors are inside of each other too deeply")
	}
	v, rest, problem := decodeError(b, d.Level+1)
	switch {
	case problem != nil:
		return nil, d.corrupt("%v", problem)
	case v == nil || len(rest) > 0:
		return nil, d.corrupt("no error where one belongs")
	}
	return v, nil
}
