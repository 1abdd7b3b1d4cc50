package pkl5

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// concrete is a type that may travel inside an interface.
type concrete struct {
	name    string
	builtin int // number on the wire, or -1
	typ     reflect.Type

	once   sync.Once
	err    error
	plan   *plan
	word   unsafe.Pointer // first word of an any that holds the type
	direct bool           // the second word of such an any is the value itself
}

// any as it lies in memory.
type eface struct {
	typ, data unsafe.Pointer
}

// ready plans the type on first use.
func (c *concrete) ready() error {
	c.once.Do(func() {
		if c.plan, c.err = planOf(c.typ); c.err != nil {
			return
		}
		zero := reflect.Zero(c.typ).Interface()
		w := (*eface)(unsafe.Pointer(&zero))
		c.word = w.typ
		// What is not held directly is held through a pointer, which is never nil.
		c.direct = w.data == nil
	})
	return c.err
}

// catalogue is the set of types that may travel inside interfaces.
type catalogue struct {
	mu      sync.Mutex
	byType  sync.Map // reflect.Type → *concrete
	byName  sync.Map // string → *concrete
	builtin []*concrete
}

var theCatalogue = sync.OnceValue(func() *catalogue {
	c := &catalogue{}
	add := func(t reflect.Type) {
		r := &concrete{name: t.String(), builtin: len(c.builtin), typ: t}
		c.builtin = append(c.builtin, r)
		c.byType.Store(t, r)
		c.byName.Store(r.name, r)
	}
	// The order is part of the format: append only.
	str, num := reflect.TypeFor[string](), reflect.TypeFor[int]()
	basic := []reflect.Type{
		reflect.TypeFor[bool](), num, str, reflect.TypeFor[float64](),
		reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
		reflect.TypeFor[uint64](), reflect.TypeFor[uintptr](), reflect.TypeFor[float32](),
		reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	}
	for _, t := range basic {
		add(t)
	}
	for _, t := range append(basic, reflect.TypeFor[any]()) {
		s := reflect.SliceOf(t)
		add(s)
		add(reflect.SliceOf(s))
		add(reflect.MapOf(str, t))
		add(reflect.MapOf(num, t))
		add(reflect.MapOf(str, s))
	}
	add(reflect.TypeFor[map[any]any]())
	add(reflect.TypeFor[[]map[string]any]())
	add(reflect.TypeFor[struct{}]())
	add(reflect.TypeFor[time.Time]())
	add(reflect.TypeFor[time.Duration]())
	return c
})

// RegisterType lets values of t, and of pointers to t, travel inside interfaces under the given name.
//
// Both ends must register the same types under the same names. The basic types, slices of them, slices of such
// slices, and maps from string or int to them are registered already, as are time.Time and time.Duration. Repeating
// a registration is harmless; a second type under one name, a second name for one type, an interface type and a
// type that Compile refuses are errors. A type whose fields cannot travel, but that has MarshalText and UnmarshalText, travels by its
// text from then on, wherever it stands: register it before what contains it. It may be called from several goroutines.
func RegisterType(name string, t reflect.Type) error {
	switch {
	case t == nil:
		return fmt.Errorf("pkl5: RegisterType(%q): there is no type; give reflect.TypeFor[T]()", name)
	case name == "" || strings.HasPrefix(name, "*"):
		return fmt.Errorf("pkl5: RegisterType(%q, %s): a name is not empty and does not begin with *", name, t)
	case t.Kind() == reflect.Interface:
		return fmt.Errorf("pkl5: RegisterType(%q, %s): an interface holds no interface; register the concrete types", name, t)
	}
	c := theCatalogue()
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.byType.Load(t); ok {
		if have := r.(*concrete).name; have != name {
			return fmt.Errorf("pkl5: RegisterType(%q, %s): the type is registered as %q already", name, t, have)
		}
		return nil
	}
	if r, ok := c.byName.Load(name); ok {
		return fmt.Errorf("pkl5: RegisterType(%q, %s): the name belongs to %s", name, t, r.(*concrete).typ)
	}
	r := &concrete{name: name, builtin: -1, typ: t}
	_, err := CompileRegistered(t)
	if err == nil {
		err = r.ready()
	}
	if err != nil {
		return fmt.Errorf("pkl5: RegisterType(%q, %s): %w", name, t, err)
	}
	c.byType.Store(t, r)
	c.byName.Store(name, r)
	pt := reflect.PointerTo(t)
	if _, ok := c.byType.Load(pt); !ok {
		r := &concrete{name: "*" + name, builtin: -1, typ: pt}
		c.byType.Store(pt, r)
		c.byName.Store(r.name, r)
	}
	return nil
}

func (c *catalogue) lookup(t reflect.Type) (*concrete, error) {
	r, ok := c.byType.Load(t)
	if !ok {
		return nil, fmt.Errorf("%w: %s inside an interface: call RegisterType for it in every process, at package level", ErrUnregistered, t)
	}
	return r.(*concrete), r.(*concrete).ready()
}
