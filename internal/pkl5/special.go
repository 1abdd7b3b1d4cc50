package pkl5

import (
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Types of the standard library that do not travel as the structs they are. A mutex arrives unlocked. An atomic
// number is loaded atomically.
var specials = map[reflect.Type]func(pl *plan){
	reflect.TypeFor[sync.Mutex]():   filler,
	reflect.TypeFor[sync.RWMutex](): filler,
	reflect.TypeFor[atomic.Bool](): func(pl *plan) {
		pl.min = 1
		pl.enc = func(e *Encoder, p unsafe.Pointer) error {
			v := (*atomic.Bool)(p).Load()
			return encodeBool(e, unsafe.Pointer(&v))
		}
		pl.dec = func(d *Decoder, p unsafe.Pointer) error {
			var v bool
			err := decodeBool(d, unsafe.Pointer(&v))
			(*atomic.Bool)(p).Store(v)
			return err
		}
	},
	reflect.TypeFor[atomic.Int32]():   atomically[atomic.Int32, int32],
	reflect.TypeFor[atomic.Int64]():   atomically[atomic.Int64, int64],
	reflect.TypeFor[atomic.Uint32]():  atomically[atomic.Uint32, uint32],
	reflect.TypeFor[atomic.Uint64]():  atomically[atomic.Uint64, uint64],
	reflect.TypeFor[atomic.Uintptr](): atomically[atomic.Uintptr, uintptr],
}

func isSpecial(t reflect.Type) bool { return specials[t] != nil }

func special(pl *plan, t reflect.Type) bool {
	fill := specials[t]
	if fill != nil {
		fill(pl)
	}
	return fill != nil
}

// cell is one of the types of sync/atomic.
type cell[A any, T any] interface {
	*A
	Load() T
	Store(T)
}

func atomically[A any, T int32 | int64 | uint32 | uint64 | uintptr, C cell[A, T]](pl *plan) {
	pl.min = 1
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.Stream = appendUint(e.Stream, zigzag(int64(C((*A)(p)).Load())))
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		u, err := d.uint()
		v := unzigzag(u)
		if err == nil && int64(T(v)) != v {
			return d.corrupt("%d does not fit in %d bits", v, 8*unsafe.Sizeof(T(0)))
		}
		C((*A)(p)).Store(T(v))
		return err
	}
}
