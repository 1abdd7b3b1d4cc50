package comm

import (
	"fmt"
	"hash/crc32"
	"reflect"
	"sync"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// codec encodes and decodes messages of one type.
type codec[T any] struct {
	*pkl5.Typed[T]
	sum  uint32 // of the type's description, so that a receiver of another type is told
	flat bool   // a copy of a value shares nothing with it that can be changed
}

var codecs sync.Map // reflect.Type → *codec[T]

func codecOf[T any]() (*codec[T], error) {
	t := reflect.TypeFor[T]()
	if c, ok := codecs.Load(t); ok {
		return c.(*codec[T]), nil
	}
	typed, err := pkl5.Of[T]()
	if err != nil {
		return nil, err
	}
	c, _ := codecs.LoadOrStore(t, &codec[T]{typed, crc32.ChecksumIEEE([]byte(registry.Describe(t))), flat(t)})
	return c.(*codec[T]), nil
}

const sumSize = 4

// letter appends what a message begins with, and the value. The encoder's segments alias the value.
func (c *codec[T]) letter(e *pkl5.Encoder, head []byte, v *T) error {
	e.Stream = append(e.Stream, byte(c.sum), byte(c.sum>>8), byte(c.sum>>16), byte(c.sum>>24))
	e.Stream = append(e.Stream, head...)
	return c.Encode(e, v)
}

// read takes the value of a message from rank source.
func (c *codec[T]) read(source int, text []byte, segments [][]byte, v *T) error {
	var d pkl5.Decoder
	d.Reset(text, segments)
	if err := c.Decode(&d, v); err != nil {
		return fmt.Errorf("the message of rank %d: %w", source, err)
	}
	return nil
}

// typed takes the type of a message from rank source off, which must be T.
func (c *codec[T]) typed(source int, text []byte) ([]byte, error) {
	if len(text) < sumSize {
		return nil, fmt.Errorf("the message of rank %d is damaged", source)
	}
	sum := uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24
	if sum != c.sum {
		return nil, fmt.Errorf("rank %d sent a value of another type than %v", source, reflect.TypeFor[T]())
	}
	return text[sumSize:], nil
}

var encoders = sync.Pool{New: func() any { return new(pkl5.Encoder) }}

func release(e *pkl5.Encoder) {
	e.Reset()
	encoders.Put(e)
}

func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.String:
		return true
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
}
