package futures

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// RegisterOption is an option of [Register] and its variants.
type RegisterOption interface {
	register(*registration) error
}

// registration is what RegisterOptions set.
type registration struct {
	task    taskConfig
	version string
}

// registerOption is an option for registering only.
type registerOption func(*registration) error

func (o registerOption) register(r *registration) error { return o(r) }

// WithVersion sets the version of the function, in any words: "2", "with the corrected boundary". A journal does not deliver results that
// it recorded for another version, so a changed function runs again: see [WithJournal]. Without the option the version is "". It has no
// other effect.
func WithVersion(version string) RegisterOption {
	return registerOption(func(r *registration) error {
		if len(version) > longestVersion {
			return fmt.Errorf("WithVersion: it has %d bytes; at most %d are allowed", len(version), longestVersion)
		}
		r.version = version
		return nil
	})
}

const longestVersion = 1000

// Func is a function that executors can run: its argument is an A, its result an R. It comes from [Register],
// [RegisterContext] or [Local]. It may be copied and used from any goroutine.
type Func[A, R any] struct {
	f *function[A, R]
}

// function is what a Func refers to.
type function[A, R any] struct {
	name    string
	call    func(context.Context, A) (R, error)
	context bool
	local   bool // made by Local: nobody else knows it
	args    *pkl5.Typed[A]
	result  *pkl5.Typed[R]
	foreign bool // reading a result may run code of its type

	foreignArgs bool // likewise of an argument
	registration
	index  atomic.Int64 // its number plus 1, once the table is frozen
	shared atomic.Int64 // its number plus 1 where arguments are shared, once it was used there

	senders   sync.Pool // of *sender[A]
	receivers sync.Pool // of *receiver[R]
}

// Name returns the name the function is registered under; for a [Local] function, the one [Local] made up.
func (f Func[A, R]) Name() string {
	if f.f == nil {
		return "<no function>"
	}
	return f.f.name
}

// Register makes fn known under a name to every process of the program, and returns the handle that executors take. The name is the
// function's identity: master and workers find it by that.
//
// It is meant for package-level variables, which every process initializes alike:
//
//	var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
//
// Several arguments are a struct, or a [Pair] with [Spread]. Wrap a function without an error in [Pure]. Register one that takes a context
// by [RegisterContext]. Both types must be encodable: no channels, functions or unsafe pointers inside. A [FuncOption] such as
// [WithTaskTimeout] applies to the function unless a call says otherwise. [WithVersion] distinguishes its results in a journal from those
// of older code.
//
// Register panics when the name is empty or taken, a type cannot be encoded, or [Main] has begun. The message names the place, for a taken
// name both places. [TryRegister] returns the error. A library should put its package path in front of its names, as in
// "example.org/stars/spectrum.fit", because the importing program may use the same name.
func Register[A, R any](name string, fn func(A) (R, error), opts ...RegisterOption) Func[A, R] {
	return mustRegister(register("Register", name, withoutContext(fn), false, opts))
}

// TryRegister is [Register] with an error in place of the panic, for programs that learn the names of their functions at run time.
func TryRegister[A, R any](name string, fn func(A) (R, error), opts ...RegisterOption) (Func[A, R], error) {
	return register("TryRegister", name, withoutContext(fn), false, opts)
}

// RegisterContext is [Register] for a function that takes a context. The context ends when the result is no longer wanted: the executor was
// told to end its tasks, the [Map] that it belongs to was abandoned, or the task's time-out is over. A function that runs for long should
// watch it.
func RegisterContext[A, R any](name string, fn func(context.Context, A) (R, error), opts ...RegisterOption) Func[A, R] {
	return mustRegister(register("RegisterContext", name, fn, true, opts))
}

// TryRegisterContext is [RegisterContext] with an error in place of the panic.
func TryRegisterContext[A, R any](name string, fn func(context.Context, A) (R, error), opts ...RegisterOption) (Func[A, R], error) {
	return register("TryRegisterContext", name, fn, true, opts)
}

func withoutContext[A, R any](fn func(A) (R, error)) func(context.Context, A) (R, error) {
	if fn == nil {
		return nil
	}
	return func(_ context.Context, a A) (R, error) { return fn(a) }
}

// mustRegister panics with what keeps a name from being registered.
func mustRegister[H any](handle H, err error) H {
	if err != nil {
		panic(err.Error())
	}
	return handle
}

// register is called by what the user calls, which is verb.
func register[A, R any](verb, name string, fn func(context.Context, A) (R, error), needsContext bool, opts []RegisterOption) (Func[A, R], error) {
	if fn == nil {
		return Func[A, R]{}, fmt.Errorf("futures: %s(%q): the function is nil", verb, name)
	}
	where := registry.Caller(1)
	f := &function[A, R]{name: name, call: fn, context: needsContext, foreign: readsItself(typeOf[R]()), foreignArgs: readsItself(typeOf[A]())}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.register(&f.registration); err != nil {
			return Func[A, R]{}, fmt.Errorf("futures: function %q registered at %s: %w", name, where, err)
		}
	}
	err := registry.Default().Add(registry.Entry{
		Kind: registry.Function, Name: name, Args: typeOf[A](), Result: typeOf[R](), Context: needsContext,
		Where: where, Body: &body[A, R]{fn: f},
	})
	if err == nil {
		f.args, err = pkl5.Of[A]()
	}
	if err == nil {
		f.result, err = pkl5.Of[R]()
	}
	if err != nil {
		return Func[A, R]{}, fmt.Errorf("futures: %w", err)
	}
	return Func[A, R]{f}, nil
}

// Local wraps any function, a closure too, for executors whose workers are goroutines of this process. On other executors [Submit] returns
// an error.
func Local[A, R any](fn func(context.Context, A) (R, error)) Func[A, R] {
	if fn == nil {
		panic("futures: Local: the function is nil")
	}
	return Func[A, R]{&function[A, R]{name: "function at " + registry.Caller(0), call: fn, context: true, local: true}}
}

// Pure adapts a function that cannot fail to [Register].
func Pure[A, R any](fn func(A) R) func(A) (R, error) {
	return func(a A) (R, error) { return fn(a), nil }
}

// Pair is two arguments in one.
type Pair[A, B any] struct {
	First  A
	Second B
}

// Spread adapts a function of two arguments to [Register]: its argument becomes a [Pair]. [Starmap] takes such functions.
func Spread[A, B, R any](fn func(A, B) (R, error)) func(Pair[A, B]) (R, error) {
	return func(p Pair[A, B]) (R, error) { return fn(p.First, p.Second) }
}

// Zip pairs the elements of two slices, up to the end of the shorter.
func Zip[A, B any](as []A, bs []B) []Pair[A, B] {
	n := min(len(as), len(bs))
	pairs := make([]Pair[A, B], n)
	for i := range pairs {
		pairs[i] = Pair[A, B]{as[i], bs[i]}
	}
	return pairs
}

// number returns the function's number, by which the workers know it.
func (f *function[A, R]) number() (uint32, error) {
	if n := f.index.Load(); n > 0 {
		return uint32(n - 1), nil
	}
	e, ok := registry.Default().Lookup(f.name)
	if !ok || !registry.Default().Frozen() {
		return 0, fmt.Errorf("futures: function %q has no number yet; this is a mistake in the library", f.name)
	}
	f.index.Store(int64(e.Index) + 1)
	return uint32(e.Index), nil
}
