package futures

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// Global is a value that an executor sends to each of its workers once, before the initializer. Register it in a package-level variable,
// set it with [WithGlobal], and read it in a task with [Global.Get]. [Global.Set] gives it another value later. It is read-only: workers may
// share it, so the effect of a write is undefined.
//
// On Linux local processes share one copy of its large parts: slices of elements without pointers, arrays and strings, wherever they are in
// the value, from [WithOutOfBandThreshold] on and from 4 KiB. The rest is decoded in each process. Workers that are goroutines share the
// whole value. Each rank has a copy. The memory is released when the workers have left; [Global.Set] says when that of a later value is.
type Global[T any] struct {
	g *global[T]
}

type global[T any] struct {
	name  string
	codec *pkl5.Typed[T]
}

// globalValue is the value of a global on its way to the workers.
type globalValue struct {
	Name  string
	Value packed
}

// globalOption is what WithGlobal was given, until it is encoded.
type globalOption struct {
	name   string
	encode func(e *pkl5.Encoder) error
}

// RegisterGlobal makes a global known under a name. It panics, naming the place, when the name is empty or taken, the type cannot be
// encoded, or [Main] has begun. A library should put its package path in front of the name.
func RegisterGlobal[T any](name string) Global[T] { return mustRegister(registerGlobal[T](name)) }

// TryRegisterGlobal is [RegisterGlobal] with an error in place of the panic.
func TryRegisterGlobal[T any](name string) (Global[T], error) { return registerGlobal[T](name) }

// registerGlobal is called by what the user calls.
func registerGlobal[T any](name string) (Global[T], error) {
	g := &global[T]{name: name}
	err := registry.Default().Add(registry.Entry{
		Kind: registry.Global, Name: name, Args: typeOf[T](), Where: registry.Caller(1), Body: g,
	})
	if err == nil {
		g.codec, err = pkl5.Of[T]()
	}
	if err != nil {
		return Global[T]{}, fmt.Errorf("futures: %w", err)
	}
	return Global[T]{g}, nil
}

// WithGlobal sets a global for the workers of an executor. The constructor encodes and copies the value, which may change afterwards. If
// one global is given several times, the last value counts. A value that is larger than the memory that this process may use is an error.
func WithGlobal[T any](g Global[T], value T) Option {
	return option(func(c *config) error {
		if g.g == nil {
			return errors.New("WithGlobal: the global is not registered; use a handle that RegisterGlobal returned")
		}
		set := globalOption{g.g.name, func(e *pkl5.Encoder) error { return g.g.codec.Encode(e, &value) }}
		if i := slices.IndexFunc(c.globals, func(o globalOption) bool { return o.name == set.name }); i >= 0 {
			c.globals[i] = set // the last one counts
		} else {
			c.globals = append(c.globals, set)
		}
		return nil
	})
}

// Get returns the value that the executor has set, in the task or initializer whose context ctx is or derives from. Executors that share a
// process have values of their own. The error is [ErrGlobalNotSet] when the executor has set none, and [ErrNotInTask] with any other
// context.
func (g Global[T]) Get(ctx context.Context) (T, error) {
	var zero T
	if g.g == nil {
		return zero, errNoGlobal
	}
	all, inTask := ctx.Value(globalsKey{}).(*found)
	if !inTask {
		return zero, fmt.Errorf("futures: global %q: %w", g.g.name, ErrNotInTask)
	}
	v, set := all.value(g.g.name)
	if !set {
		return zero, fmt.Errorf("futures: global %q: %w", g.g.name, ErrGlobalNotSet)
	}
	return v.(*held[T]).value, nil
}

// ErrGlobalNotSet is the error of a [Global]'s Get when the executor of the task was made without a [WithGlobal] for it.
var ErrGlobalNotSet = errors.New("the executor of this task has not set it; see WithGlobal")

var errNoGlobal = errors.New("futures: the global is not registered; use a handle that RegisterGlobal returned")

// globalsKey leads to a *found.
type globalsKey struct{}

// held is a global's value in a worker: T may be an interface, and its value nil.
type held[T any] struct{ value T }

// decode reads a value of the global.
func (g *global[T]) decode(d *pkl5.Decoder) (any, error) {
	v := new(held[T])
	err := g.codec.Decode(d, &v.value)
	return v, err
}

// decodeGlobals decodes the globals of an executor, by name.
func decodeGlobals(all []globalValue, from *unpacking) (map[string]any, error) {
	values := make(map[string]any, len(all))
	for _, gv := range all {
		v, err := decodeGlobal(gv, from)
		if err != nil {
			return nil, err
		}
		values[gv.Name] = v
	}
	return values, nil
}
