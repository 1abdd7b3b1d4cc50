package remote

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// carrier takes the values of one registered error type across.
//
// The value goes through the codec with all its fields. Those of the type error or []error, at the top, are taken out
// first and travel as errors do: their contents need not be registered, and errors.Is finds what is in them.
type carrier struct {
	name   string
	typ    reflect.Type // what errors.As is asked for, a pointer or not
	codec  *pkl5.Codec
	single []int // fields of type error
	slices []int // fields of type []error
	types  []int // exported fields of type reflect.Type, of which the text and the kind travel
}

var (
	errorType  = reflect.TypeFor[error]()
	errorsType = reflect.TypeFor[[]error]()
)

// RegisterErrorType makes errors of type T, exactly that one, keep it across processes; see RegisterError.
func RegisterErrorType[T error](name string) error {
	return RegisterError(name, reflect.TypeFor[T]())
}

// RegisterError makes errors of type t keep it across processes with all their fields, so that errors.As finds it on the
// other side. Name is what the type travels under, the same in every process that registers it; where it is not
// registered such an error arrives as text.
//
// T is the type of the values that are returned, so a pointer type when the methods are on the pointer. The error says
// which field cannot travel. It may be called at any time from any goroutine, and again for the same pair.
func RegisterError(name string, t reflect.Type) error {
	switch {
	case t == nil:
		return fmt.Errorf("error type %q is nil: give the type of the errors that are returned", name)
	case name == "":
		return fmt.Errorf("error type %v has no name: give it one that is the same in every process", t)
	case t.Kind() == reflect.Interface:
		return fmt.Errorf("error type %q is the interface %v: register the concrete types that are returned", name, t)
	case !t.Implements(errorType):
		if reflect.PointerTo(t).Implements(errorType) {
			return fmt.Errorf("error type %q: %v is not an error, but *%v is: register that", name, t, t)
		}
		return fmt.Errorf("error type %q: %v is not an error: it has no method Error() string", name, t)
	}
	codec, err := pkl5.Compile(t)
	if err != nil {
		return fmt.Errorf("error type %q: %v cannot travel between processes: %w", name, t, err)
	}
	c := &carrier{name: name, typ: t, codec: codec}
	if s := c.structType(); s != nil {
		for i := range s.NumField() {
			switch f := s.Field(i); {
			case f.Name == "_":
			case f.Type == errorType:
				c.single = append(c.single, i)
			case f.Type == errorsType:
				c.slices = append(c.slices, i)
			case f.Type == reflect.TypeFor[reflect.Type]() && f.IsExported():
				c.types = append(c.types, i)
			}
		}
	}

	names.Lock()
	defer names.Unlock()
	if old, taken := names.typ[name]; taken && old.typ != t {
		return fmt.Errorf("error type name %q is taken by %v: choose another for %v", name, old.typ, t)
	}
	if old, taken := names.carrier[t]; taken && old.name != name {
		return fmt.Errorf("error type %v is registered already, as %q: one name is enough", t, old.name)
	}
	names.typ[name] = c
	names.carrier[t] = c
	return nil
}

func carrierOf(t reflect.Type) *carrier {
	names.RLock()
	defer names.RUnlock()
	return names.carrier[t]
}

func carrierNamed(name string) *carrier {
	names.RLock()
	defer names.RUnlock()
	return names.typ[name]
}

// structType returns the struct in which the fields are, or nil.
func (c *carrier) structType() reflect.Type {
	t := c.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// encode returns the value without the errors inside it, and those.
func (c *carrier) encode(err error, level int) (blob []byte, inside []error, problem error) {
	defer func() {
		if v := recover(); v != nil {
			problem = fmt.Errorf("encoding it panicked: %s", sprint(v))
		}
	}()
	v := reflect.New(c.typ)
	v.Elem().Set(reflect.ValueOf(err))
	if len(c.single)+len(c.slices)+len(c.types) > 0 {
		if s := v.Elem(); s.Kind() == reflect.Pointer && !s.IsNil() {
			// The caller's value stays as it is.
			clone := reflect.New(s.Type().Elem())
			clone.Elem().Set(s.Elem())
			s.Set(clone)
		}
		c.eachType(v, func(t reflect.Type) reflect.Type { return outwardType(t) })
		c.each(v, func(single *error, slice *[]error) {
			if single != nil {
				inside = append(inside, *single)
				*single = nil
				return
			}
			inside = append(inside, *slice...)
			if *slice != nil {
				*slice = make([]error, len(*slice))
			}
		})
	}
	e := pkl5.Encoder{Threshold: -1, Level: level}
	if problem := c.codec.Encode(&e, v.UnsafePointer()); problem != nil {
		return nil, nil, problem
	}
	return e.Stream, inside, nil
}

// decode returns the value, with the errors inside put back where they were.
func (c *carrier) decode(blob []byte, inside []error, level int) (err, problem error) {
	defer func() {
		if v := recover(); v != nil {
			err, problem = nil, fmt.Errorf("decoding it panicked: %s", sprint(v))
		}
	}()
	v := reflect.New(c.typ)
	d := pkl5.Decoder{Level: level}
	d.Reset(blob, nil)
	if problem := c.codec.Decode(&d, v.UnsafePointer()); problem != nil {
		return nil, problem
	}
	if d.Len() > 0 {
		return nil, fmt.Errorf("%d bytes too many", d.Len())
	}
	c.eachType(v, func(t reflect.Type) reflect.Type {
		if told, is := t.(toldType); is {
			return told.arrived()
		}
		return t
	})
	next := func() (e error) {
		if len(inside) == 0 {
			problem = errors.New("fewer errors inside it than it has places for")
			return nil
		}
		e, inside = inside[0], inside[1:]
		return e
	}
	c.each(v, func(single *error, slice *[]error) {
		if single != nil {
			*single = next()
			return
		}
		for i := range *slice {
			(*slice)[i] = next()
		}
	})
	if problem != nil {
		return nil, problem
	}
	if len(inside) > 0 {
		return nil, errors.New("more errors inside it than it has places for")
	}
	return v.Elem().Interface().(error), nil
}

// eachType has another type in each field of the value that v points to that holds one.
func (c *carrier) eachType(v reflect.Value, other func(reflect.Type) reflect.Type) {
	s := reflect.Indirect(v.Elem())
	if !s.IsValid() {
		return
	}
	for _, i := range c.types {
		if t, ok := s.Field(i).Interface().(reflect.Type); ok {
			s.Field(i).Set(reflect.ValueOf(other(t)))
		}
	}
}

// each visits the fields that hold errors, exported or not, of the value that v points to.
func (c *carrier) each(v reflect.Value, visit func(single *error, slice *[]error)) {
	s := v.Elem()
	if s.Kind() == reflect.Pointer {
		if s.IsNil() {
			return
		}
		s = s.Elem()
	}
	for _, i := range c.single {
		visit((*error)(s.Field(i).Addr().UnsafePointer()), nil)
	}
	for _, i := range c.slices {
		visit(nil, (*[]error)(s.Field(i).Addr().UnsafePointer()))
	}
}
