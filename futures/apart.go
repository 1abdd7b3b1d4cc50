package futures

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// apart runs f on a goroutine of its own, for f calls code of the user's: runtime.Goexit there must not end a goroutine that
// others depend on. The error says that f did not return.
func apart(f func()) (err error) {
	over := make(chan struct{})
	go func() {
		returned := false
		defer func() {
			if !returned {
				err = recovered(recoveredValue(recover()), debug.Stack())
			}
			close(over)
		}()
		f()
		returned = true
	}()
	<-over
	return err
}

// recoveredValue tells runtime.Goexit from a panic.
func recoveredValue(v any) any {
	if v == nil {
		return dispatch.Goexit
	}
	return v
}

// readsItself tells whether decoding a value of the type runs code that is neither ours nor the standard library's, or may.
func readsItself(t reflect.Type) bool { return selfReader(t, map[reflect.Type]bool{}) }

func selfReader(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if registry.SelfWritten(t) {
		pkg, _, _ := strings.Cut(t.PkgPath(), "/")
		switch pkg {
		case "crypto", "encoding", "go", "hash", "image", "log", "math", "net", "os", "regexp", "text", "time":
			return false
		}
		return true
	}
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return selfReader(t.Elem(), seen)
	case reflect.Map:
		return selfReader(t.Key(), seen) || selfReader(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.NumField() {
			if selfReader(t.Field(f).Type, seen) {
				return true
			}
		}
	}
	return false
}

// receiver is what a result is decoded with, and where.
type receiver[R any] struct {
	dec   pkl5.Decoder
	value R
}

// decode reads one result.
func (fn *function[A, R]) decode(data []byte, segments [][]byte) (v R, err error) {
	if fn.result.Number() {
		if v, ok := fn.result.One(data); ok {
			return v, nil
		}
	}
	if fn.foreign {
		v, err = fn.decodeApart(data, segments)
	} else {
		v, err = fn.read(data, segments)
	}
	if err != nil {
		return v, fmt.Errorf("futures: the result of %s cannot be decoded: %w", fn.name, err)
	}
	return v, nil
}

func (fn *function[A, R]) decodeApart(data []byte, segments [][]byte) (v R, err error) {
	if gone := apart(func() { v, err = fn.read(data, segments) }); gone != nil {
		var zero R
		return zero, gone
	}
	return v, err
}

func (fn *function[A, R]) read(data []byte, segments [][]byte) (R, error) {
	x, _ := fn.receivers.Get().(*receiver[R])
	if x == nil {
		x = new(receiver[R])
	}
	x.dec.Reset(data, segments)
	err := fn.result.Decode(&x.dec, &x.value)
	v := x.value
	var zero R
	x.value = zero
	x.dec.Reset(nil, nil)
	fn.receivers.Put(x)
	return v, err
}
