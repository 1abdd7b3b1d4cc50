package futures

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// initCall is the call of an initializer.
type initCall struct {
	Name string
	Arg  packed
}

// initializer is what WithInitializer sets.
type initializer struct {
	name   string
	local  bool
	call   func(context.Context) error // for a thread pool, where arguments are shared
	encode func(e *pkl5.Encoder) error // nil once that is done, and of a Local function

	arg     packed // what it has made; in a thread pool for journals only
	refused error  // why it has not, in a thread pool
}

func newInitializer[A, R any](f *function[A, R], arg A) *initializer {
	i := &initializer{name: f.name, local: f.local}
	i.call = func(ctx context.Context) error {
		_, err := f.call(ctx, arg)
		return err
	}
	if !f.local {
		i.encode = func(e *pkl5.Encoder) error { return f.args.Encode(e, &arg) }
	}
	return i
}

// run calls an initializer by its name, with the next value of those that have come.
func (i *initCall) run(ctx context.Context, from *unpacking) error {
	e, ok := registry.Default().Lookup(i.Name)
	if !ok {
		return fmt.Errorf("initializer %q is not registered in this worker", i.Name)
	}
	in, err := from.of(i.Arg)
	if err != nil {
		return fmt.Errorf("initializer %q: %w", i.Name, err)
	}
	return e.Body.(dispatch.Body).Call(&dispatch.Call{Context: ctx, In: in, Out: &pkl5.Encoder{Threshold: -1}, N: 1})
}

// initialization is what the workers of one process and executor have in common: the globals and the run of an initializer. The first to
// come decodes or runs, the others wait for that, and each says the same about it, for the one that is heard first is what breaks the pool.
type initialization struct {
	once sync.Once
	err  error

	decoded sync.Once
	values  map[string]any
	rest    *unpacking // what the globals leave
	problem error
}

var errNotDecoded = errors.New("the globals cannot be decoded: the decoder of a type has ended its goroutine")

// globals returns the values of the globals, and what is left of the segments.
func (in *initialization) globals(all []globalValue, segments [][]byte) (map[string]any, *unpacking, error) {
	in.decoded.Do(func() {
		in.rest, in.problem = &unpacking{segments}, errNotDecoded
		in.values, in.problem = decodeGlobals(all, in.rest)
	})
	return in.values, in.rest, in.problem
}

// run runs an initializer.
func (in *initialization) run(ctx context.Context, call func(context.Context) error) error {
	in.once.Do(func() {
		returned := false
		defer func() {
			if !returned {
				in.err = recovered(recoveredValue(recover()), debug.Stack())
			}
		}()
		in.err = call(ctx)
		returned = true
	})
	return in.err
}
