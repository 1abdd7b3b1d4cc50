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
		case "time", "math", "net", "encoding":
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

// decode reads one result.
func (fn *function[A, R]) decode(data []byte, segments [][]byte, v *R) error {
	read := func() error {
		d := decoders.Get().(*pkl5.Decoder)
		d.Reset(data, segments)
		err := fn.result.Decode(d, v)
		d.Reset(nil, nil)
		decoders.Put(d)
		return err
	}
	var err error
	if !fn.foreign {
		err = read()
	} else if gone := apart(func() { err = read() }); gone != nil {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("futures: the result of %s cannot be decoded: %w", fn.name, err)
	}
	return nil
}
