package pkl5

import (
	"encoding"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// marshaller carries a type by its own methods: the bytes they make, behind their length.
type marshaller struct {
	write, read string // names of methods, for errors
	encode      func(v any, scratch []byte) (b []byte, appended bool, err error)
	decode      func(v any, b []byte) error
}

// The interfaces of encoding/gob, which does not deserve to be linked in for them.
type (
	gobEncoder interface{ GobEncode() ([]byte, error) }
	gobDecoder interface{ GobDecode(b []byte) error }
)

// pair is one way for a type to carry itself. The methods are looked up with constant names, which lets the linker
// drop the other methods of the program.
type pair struct {
	write, read       reflect.Type // interfaces
	ownWrite, ownRead func(t reflect.Type) (reflect.Method, bool)
	marshaller
}

// pairs are in order of preference: they are made for programs that read the value again.
var pairs = []pair{
	{
		reflect.TypeFor[encoding.BinaryAppender](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("AppendBinary") }, readBinary,
		marshaller{"AppendBinary", "UnmarshalBinary", func(v any, b []byte) ([]byte, bool, error) {
			b, err := v.(encoding.BinaryAppender).AppendBinary(b)
			return b, true, err
		}, unmarshalBinary},
	},
	{
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("MarshalBinary") }, readBinary,
		marshaller{"MarshalBinary", "UnmarshalBinary", func(v any, _ []byte) ([]byte, bool, error) {
			b, err := v.(encoding.BinaryMarshaler).MarshalBinary()
			return b, false, err
		}, unmarshalBinary},
	},
	{
		reflect.TypeFor[gobEncoder](), reflect.TypeFor[gobDecoder](),
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("GobEncode") },
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("GobDecode") },
		marshaller{"GobEncode", "GobDecode", func(v any, _ []byte) ([]byte, bool, error) {
			b, err := v.(gobEncoder).GobEncode()
			return b, false, err
		}, func(v any, b []byte) error { return v.(gobDecoder).GobDecode(b) }},
	},
}

// texts are the pairs for types whose fields cannot travel and that RegisterType was told of. A text is made for people, so it may
// be less than the value: no other type travels by it.
var texts = []pair{
	{
		reflect.TypeFor[encoding.TextAppender](), reflect.TypeFor[encoding.TextUnmarshaler](),
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("AppendText") }, readText,
		marshaller{"AppendText", "UnmarshalText", func(v any, b []byte) ([]byte, bool, error) {
			b, err := v.(encoding.TextAppender).AppendText(b)
			return b, true, err
		}, unmarshalText},
	},
	{
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
		func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("MarshalText") }, readText,
		marshaller{"MarshalText", "UnmarshalText", func(v any, _ []byte) ([]byte, bool, error) {
			b, err := v.(encoding.TextMarshaler).MarshalText()
			return b, false, err
		}, unmarshalText},
	},
}

// byText has the types that travel by their texts.
var byText sync.Map

// ByText tells whether t travels by its text: its fields cannot, and RegisterType was told of it.
func ByText(t reflect.Type) bool {
	_, yes := byText.Load(t)
	return yes
}

// CompileRegistered is Compile for a type that RegisterType is told of: it lets t travel by its text if its fields cannot.
func CompileRegistered(t reflect.Type) (*Codec, error) {
	c, err := Compile(t)
	if err != nil && t != nil && letText(t) {
		return Compile(t)
	}
	return c, err
}

// textOf returns how t can travel by its text, or nil.
func textOf(t reflect.Type) *marshaller {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil
	}
	return among(texts, t)
}

// letText has t travel by its text, if it has one, and tells whether it has. What was refused before may be possible now.
func letText(t reflect.Type) bool {
	if textOf(t) == nil {
		return false
	}
	planMu.Lock() // nobody keeps a refusal from before
	defer planMu.Unlock()
	byText.Store(t, nil)
	refusal.Clear()
	return true
}

func readBinary(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("UnmarshalBinary") }
func readText(t reflect.Type) (reflect.Method, bool)   { return t.MethodByName("UnmarshalText") }

func unmarshalBinary(v any, b []byte) error { return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(b) }
func unmarshalText(v any, b []byte) error   { return v.(encoding.TextUnmarshaler).UnmarshalText(b) }

// marshaller returns how t carries itself, or nil. Both directions must be there.
func (b *builder) marshaller(t reflect.Type) *marshaller {
	if m, ok := b.ours[t]; ok {
		return m
	}
	if b.ours == nil {
		b.ours = map[reflect.Type]*marshaller{}
	}
	b.ours[t] = findMarshaller(t)
	return b.ours[t]
}

func findMarshaller(t reflect.Type) *marshaller {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil
	}
	if m := among(pairs, t); m != nil {
		return m
	}
	if ByText(t) {
		return among(texts, t)
	}
	return nil
}

// among returns the first of the pairs that t has.
func among(pairs []pair, t reflect.Type) *marshaller {
	pt := reflect.PointerTo(t)
	for i := range pairs {
		p := &pairs[i]
		if pt.Implements(p.write) && pt.Implements(p.read) && owns(t, p.ownWrite) && owns(t, p.ownRead) {
			return &p.marshaller
		}
	}
	return nil
}

// owns reports whether t itself defines the method. One that an embedded field lends to t knows nothing of the
// other fields and would lose them.
func owns(t reflect.Type, find func(reflect.Type) (reflect.Method, bool)) bool {
	if t.Kind() != reflect.Struct {
		return true
	}
	embeds := false
	for i := range t.NumField() {
		embeds = embeds || t.Field(i).Anonymous
	}
	if !embeds {
		return true
	}
	if t.Name() == "" {
		return false // a type without name has no methods of its own
	}
	m, ok := find(t)
	if !ok {
		m, _ = find(reflect.PointerTo(t))
	}
	f := runtime.FuncForPC(m.Func.Pointer())
	if f == nil {
		return true
	}
	// The compiler's wrapper is called <autogenerated>, unless the lent method was inlined into it: then the name is
	// that of the lender.
	if file, _ := f.FileLine(f.Entry()); file == "<autogenerated>" {
		return false
	}
	base, _, _ := strings.Cut(t.Name(), "[")
	name := strings.NewReplacer("(", "", ")", "", "*", "").Replace(f.Name())
	name = name[strings.LastIndexByte(name, '/')+1:]
	_, name, _ = strings.Cut(name, ".")
	return strings.HasPrefix(name, base+".") || strings.HasPrefix(name, base+"[")
}

func (m *marshaller) fill(pl *plan) {
	t := pl.typ
	pl.min, pl.borrowed = 1, true
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		b, appended, err := m.marshal(reflect.NewAt(t, p).Interface(), e.scratch[:0])
		if err != nil {
			return err
		}
		n := len(e.Segments)
		e.block(b, uint64(len(b)), 0, !appended)
		if appended {
			e.scratch = b[:0]
			if len(e.Segments) > n {
				e.scratch = nil // it is a segment now
			}
		}
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		h, err := d.uint()
		if err != nil {
			return err
		}
		b, _, err := d.block(h, 1)
		if err != nil {
			return err
		}
		return m.unmarshal(reflect.NewAt(t, p).Interface(), b)
	}
}

func (m *marshaller) marshal(v any, scratch []byte) (b []byte, appended bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(m.write, r)
		}
	}()
	b, appended, err = m.encode(v, scratch)
	if err != nil {
		err = fmt.Errorf("%s: %w", m.write, err)
	}
	return b, appended, err
}

func (m *marshaller) unmarshal(v any, b []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(m.read, r)
		}
	}()
	if err = m.decode(v, b); err != nil {
		err = fmt.Errorf("%s: %w", m.read, err)
	}
	return err
}

// panicked keeps an error that a method panicked with in the chain.
func panicked(method string, r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("%s panicked: %w", method, err)
	}
	return fmt.Errorf("%s panicked: %v", method, r)
}
