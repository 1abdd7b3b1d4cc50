package futures

import (
	"context"
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
	Arg  []byte
}

// initializer is what WithInitializer sets.
type initializer struct {
	name  string
	local bool
	arg   []byte                      // encoded, for other processes
	call  func(context.Context) error // for this one
}

func newInitializer[A, R any](f *function[A, R], arg A) (*initializer, error) {
	i := &initializer{name: f.name, local: f.local}
	i.call = func(ctx context.Context) error {
		_, err := f.call(ctx, arg)
		return err
	}
	if f.local {
		return i, nil
	}
	e := pkl5.Encoder{Threshold: -1}
	if err := f.args.Encode(&e, &arg); err != nil {
		return nil, fmt.Errorf("the argument of %s cannot be encoded: %w", f.name, err)
	}
	i.arg = e.Stream
	// The argument as it was encoded, so that later changes to it have no effect.
	return i, nil
}

// run calls an initializer by its name.
func (i *initCall) run(ctx context.Context) error {
	e, ok := registry.Default().Lookup(i.Name)
	if !ok {
		return fmt.Errorf("initializer %q is not registered in this worker", i.Name)
	}
	var in pkl5.Decoder
	in.Reset(i.Arg, nil)
	return e.Body.(dispatch.Body).Call(&dispatch.Call{Context: ctx, In: &in, Out: &pkl5.Encoder{Threshold: -1}, N: 1})
}

// initialization is the run of an initializer that the workers of one process and executor have in common. The first to come
// runs it, the others wait for that, and each says the same about it, for the one that is heard first is what breaks the pool.
type initialization struct {
	once sync.Once
	err  error
}

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
