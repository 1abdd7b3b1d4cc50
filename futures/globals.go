package futures

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// Global is a value that an executor sends to each of its workers once, before the initializer. Register it in a
// package-level variable, set it with [WithGlobal], and read it in a task with [Global.Get].
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
	Value []byte
}

// RegisterGlobal makes a global known under a name. It panics, naming the place, when the name is empty or taken, the
// type cannot be encoded, or [Main] has begun. A library puts its package path in front of the name.
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

// WithGlobal sets a global for the workers of an executor. The value is encoded now.
func WithGlobal[T any](g Global[T], value T) Option {
	return option(func(c *config) error {
		if g.g == nil {
			return errors.New("WithGlobal: the global is not registered; use a handle that RegisterGlobal returned")
		}
		e := pkl5.Encoder{Threshold: -1}
		if err := g.g.codec.Encode(&e, &value); err != nil {
			return fmt.Errorf("WithGlobal: %s cannot be encoded: %w", g.g.name, err)
		}
		c.globals = append(c.globals, globalValue{g.g.name, e.Stream})
		return nil
	})
}

// Get returns the value that the executor has set of the task, or initializer, whose context ctx is, or was made of. Where several
// executors share a process each has its own. The error is [ErrGlobalNotSet] when that executor has set none, and [ErrNotInTask] with any
// other context.
func (g Global[T]) Get(ctx context.Context) (T, error) {
	var zero T
	if g.g == nil {
		return zero, errors.New("futures: the global is not registered; use a handle that RegisterGlobal returned")
	}
	values, inTask := ctx.Value(globalsKey{}).(map[string]any)
	if !inTask {
		return zero, fmt.Errorf("futures: global %q: %w", g.g.name, ErrNotInTask)
	}
	v, set := values[g.g.name]
	if !set {
		return zero, fmt.Errorf("futures: global %q: %w", g.g.name, ErrGlobalNotSet)
	}
	return v.(*held[T]).value, nil
}

// ErrGlobalNotSet is the error of a [Global]'s Get when the executor of the task was made without a [WithGlobal] for it.
var ErrGlobalNotSet = errors.New("the executor of this task has not set it; see WithGlobal")

type globalsKey struct{}

// held is a global's value in a worker: T may be an interface, and its value nil.
type held[T any] struct{ value T }

// decode reads a value of the global.
func (g *global[T]) decode(b []byte) (any, error) {
	var d pkl5.Decoder
	v := new(held[T])
	d.Reset(b, nil)
	err := g.codec.Decode(&d, &v.value)
	return v, err
}

// withGlobals decodes the globals of an executor into the context of its tasks.
func withGlobals(ctx context.Context, all []globalValue) (context.Context, error) {
	values := make(map[string]any, len(all))
	for _, gv := range all {
		e, ok := registry.Default().Find(registry.Global, gv.Name)
		if !ok {
			return nil, fmt.Errorf("global %q is not registered in this worker", gv.Name)
		}
		v, err := e.Body.(interface{ decode([]byte) (any, error) }).decode(gv.Value)
		if err != nil {
			return nil, fmt.Errorf("global %q cannot be decoded: %w", gv.Name, err)
		}
		values[gv.Name] = v
	}
	return context.WithValue(ctx, globalsKey{}, values), nil
}
