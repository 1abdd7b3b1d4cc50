package futures

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// Global is a value that an executor sends to each of its workers once, before the initializer. Register it in a
// package-level variable, set it with WithGlobal, and read it in a task with Get.
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
// type cannot be encoded, or Main has begun.
func RegisterGlobal[T any](name string) Global[T] {
	g := &global[T]{name: name}
	err := registry.Default().Add(registry.Entry{
		Kind: registry.Global, Name: name, Args: typeOf[T](), Where: registry.Caller(0), Body: g,
	})
	if err == nil {
		g.codec, err = pkl5.Of[T]()
	}
	if err != nil {
		panic("futures: " + err.Error())
	}
	return Global[T]{g}
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

// Get returns the value that the executor of the present task has set, and whether it has. With the task's context, or
// one derived from it, the answer is that executor's also where several share this process; with any other, it is what
// the last executor to start in this process has set.
func (g Global[T]) Get(ctx context.Context) (T, bool) {
	var zero T
	if g.g == nil {
		return zero, false
	}
	values, _ := ctx.Value(globalsKey{}).(map[string]any)
	if values == nil {
		lastGlobals.Lock()
		values = lastGlobals.values
		lastGlobals.Unlock()
	}
	v, ok := values[g.g.name].(T)
	return v, ok
}

type globalsKey struct{}

// lastGlobals are those of the last executor to set some in this process. The map is never changed.
var lastGlobals struct {
	sync.Mutex
	values map[string]any
}

// decode reads a value of the global.
func (g *global[T]) decode(b []byte) (any, error) {
	var d pkl5.Decoder
	var v T
	d.Reset(b, nil)
	err := g.codec.Decode(&d, &v)
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
	if len(all) > 0 {
		lastGlobals.Lock()
		lastGlobals.values = values
		lastGlobals.Unlock()
	}
	return context.WithValue(ctx, globalsKey{}, values), nil
}
