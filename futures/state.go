package futures

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/registry"
)

// State is a value that each worker has for itself: a model with its scratch memory, a connection, an open file. It comes from
// [RegisterState], and tasks read it with [State.Get]. It may be copied and used from any goroutine.
type State[T any] struct {
	s *stateOf[T]
}

// stateOf is what a State refers to.
type stateOf[T any] struct {
	name  string
	open  func(context.Context) (T, error)
	close func(T) error
}

// RegisterState makes a state of the workers known under a name. It is meant for package-level variables:
//
//	var model = futures.RegisterState("model", load, (*Model).Close)
//
// There is one value per worker and executor, on every backend: each goroutine has its own, and so have two executors on the same ranks.
// Since a worker runs one task at a time, a value needs no lock, unless the task has goroutines of its own.
//
// open makes a worker's value, at the first Get of a task there. Its context belongs to the worker and not to that task. It ends when the
// worker leaves, has no time-out, and gives access to the globals, with the values that the task finds, and to other states. A program that
// open starts lives on when the task is over, until the worker has left.
//
// close ends the value when the worker leaves: at the end of the executor, after the last task, and when the worker is replaced because of
// [WithMaxTasksPerChild]. This is so on goroutines and ranks too, which live on. Values are closed in the reverse order of their opening.
// An error or panic of close is part of the error of Close, Shutdown or [With], with the state's name and the worker. [TestMain] fails
// tests that have not looked at such an error. All values of a worker together have the time of [WithStopTimeout]. Executors that tasks
// have left open may take three quarters of it first. A close that has not returned by then is abandoned, with an error that says so. close
// may be nil.
//
// A worker that is killed or lost closes nothing, nor does one whose executor is broken. A task that was abandoned at the end of its time
// and still runs, on a goroutine or a rank, keeps its values. They are closed when it returns, and errors of that are logged.
//
// RegisterState panics, naming the places, when the name is empty or taken, open is nil, or [Main] has begun. A library should put its
// package path in front of the name.
func RegisterState[T any](name string, open func(context.Context) (T, error), close func(T) error) State[T] {
	return mustRegister(registerState(name, open, close))
}

// TryRegisterState is [RegisterState] with an error in place of the panic.
func TryRegisterState[T any](name string, open func(context.Context) (T, error), close func(T) error) (State[T], error) {
	return registerState(name, open, close)
}

// registerState is called by what the user calls.
func registerState[T any](name string, open func(context.Context) (T, error), close func(T) error) (State[T], error) {
	where := registry.Caller(1)
	s := &stateOf[T]{name, open, close}
	if open == nil {
		return State[T]{}, fmt.Errorf("futures: state %q registered at %s has no function that opens it", name, where)
	}
	if err := registry.Default().Add(registry.Entry{Kind: registry.State, Name: name, Where: where, Body: s}); err != nil {
		return State[T]{}, fmt.Errorf("futures: %w", err)
	}
	return State[T]{s}, nil
}

// Name returns the name the state is registered under.
func (s State[T]) Name() string {
	if s.s == nil {
		return "<no state>"
	}
	return s.s.name
}

// Get returns the value of the worker that runs the task whose context ctx is or derives from. The first call in a worker opens it and
// blocks until that has ended, or until ctx ends. Other calls wait for the same opening. It may be called from several goroutines of the
// task at once.
//
// When open fails, panics or calls [runtime.Goexit], the waiting calls get that error, and the next call opens again. Get fails with
// [ErrNotInTask] outside of tasks, and in an initializer: that runs once per process, which may have several workers. In the open function
// of another state it works. After the worker has left, a goroutine that a task has left behind gets an error.
func (s State[T]) Get(ctx context.Context) (T, error) {
	if s.s == nil {
		var zero T
		return zero, errors.New("futures: the state is not registered; use a handle that RegisterState returned")
	}
	v, err := s.s.get(ctx)
	if err != nil {
		err = fmt.Errorf("futures: state %q: %w", s.s.name, err)
	}
	return v, err
}

// ErrNotInTask is the error of Get, of a [State] or a [Global], when its context neither is nor derives from that of a task.
var ErrNotInTask = errors.New("the context is not that of a task, nor derived from one: register the function with RegisterContext, and pass on the context that it is given")

var (
	errInInitializer = fmt.Errorf("an initializer runs once per process, and each worker has a state of its own: use it in tasks, or set it up "+
		"in the function that opens it (%w)", ErrNotInTask)
	errOwnOpen   = errors.New("its open function asks for the state itself")
	errStateGone = errors.New("the worker has left, and its states are closed")
)

// workerStates are the states of one worker of one executor.
type workerStates struct {
	ctx context.Context // of the functions that open them

	mu      sync.Mutex
	held    map[any]any   // by *stateOf[T], a *holding[T]
	opening int           // of these, how many are not there yet
	opened  []openState   // that are to be closed, in the order of their opening
	settled chan struct{} // closed when none is being opened any more; nil while nobody waits for that
	leaving bool          // none is opened any more
	left    bool          // what is opened still is closed at once
}

// openState is a state that is to be closed.
type openState struct {
	name  string
	close func() error
}

// holding is a state in one worker.
type holding[T any] struct {
	ended bool          // the value is there; under the lock of the workerStates
	there chan struct{} // closed when the value, or the error, is there
	value T
	err   error
}

// The keys of what contexts lead to: the *workerStates of a task, and the *opening of a function that opens a state.
type (
	statesKey  struct{}
	openingKey struct{}
)

// opening is a state that is being opened, and what is opened for.
type opening struct {
	state any
	outer *opening
}

// of tells whether a state is one of those that are being opened.
func (o *opening) of(state any) bool {
	for ; o != nil; o = o.outer {
		if o.state == state {
			return true
		}
	}
	return false
}

// notHere stands for states in the context of an initializer.
var notHere = new(workerStates)

// withStates gives the context of a worker's tasks states of its own.
func withStates(ctx context.Context) context.Context {
	all := &workerStates{held: map[any]any{}}
	all.ctx = context.WithValue(ctx, statesKey{}, all)
	return all.ctx
}

// withoutStates is for initializers.
func withoutStates(ctx context.Context) context.Context {
	return context.WithValue(ctx, statesKey{}, notHere)
}

func (s *stateOf[T]) get(ctx context.Context) (T, error) {
	var zero T
	all, _ := ctx.Value(statesKey{}).(*workerStates)
	switch all {
	case nil:
		return zero, ErrNotInTask
	case notHere:
		return zero, errInInitializer
	}
	all.mu.Lock()
	if all.leaving {
		all.mu.Unlock()
		return zero, errStateGone
	}
	h, _ := all.held[s].(*holding[T])
	if h != nil && h.ended {
		all.mu.Unlock()
		return h.value, nil
	}
	outer, _ := ctx.Value(openingKey{}).(*opening)
	if outer.of(s) {
		all.mu.Unlock()
		return zero, errOwnOpen
	}
	if h == nil {
		h = &holding[T]{there: make(chan struct{})}
		all.held[s] = h
		all.opening++
		go s.fill(all, h, outer, ctx.Value(globalsKey{}))
	}
	all.mu.Unlock()
	select {
	case <-h.there:
		return h.value, h.err
	case <-ctx.Done():
		return zero, gaveUp(ctx, "it to be opened")
	}
}

// fill opens a state.
func (s *stateOf[T]) fill(all *workerStates, h *holding[T], outer *opening, globals any) {
	ctx := context.WithValue(all.ctx, openingKey{}, &opening{s, outer})
	if globals != all.ctx.Value(globalsKey{}) { // others were set since the start
		ctx = context.WithValue(ctx, globalsKey{}, globals)
	}
	over := dispatch.Keep(ctx)
	gone := apart(func() { h.value, h.err = s.open(ctx) })
	if over(); gone != nil {
		h.err = gone
	}
	var end func() error
	if s.close != nil {
		end = func() error { return s.close(h.value) }
	}
	all.mu.Lock()
	all.opening--
	late := all.left
	switch {
	case h.err != nil:
		var zero T
		h.value, h.err = zero, fmt.Errorf("cannot be opened: %w", h.err)
		delete(all.held, s) // the next call tries again
	case end != nil && !late:
		all.opened = append(all.opened, openState{s.name, end})
	}
	h.ended = h.err == nil
	if all.opening == 0 && all.settled != nil {
		close(all.settled)
		all.settled = nil
	}
	all.mu.Unlock()
	close(h.there)
	if late && h.err == nil && end != nil {
		if err := ended(end); err != nil {
			unheard(closing(s.name, err))
		}
	}
}

// statesIn returns the states of a worker whose context this is, or nil.
func statesIn(ctx context.Context) *workerStates {
	all, _ := ctx.Value(statesKey{}).(*workerStates)
	return all
}

// some tells whether there are states to close, or that are being opened.
func (all *workerStates) some() bool {
	if all == nil {
		return false
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.opening > 0 || len(all.opened) > 0
}

// leave closes what is open, the last to be opened first, until ctx ends, which is when the limit of the worker is over.
func (all *workerStates) leave(ctx context.Context, limit time.Duration) (failures []dispatch.Failure) {
	if all == nil {
		return nil
	}
	all.mu.Lock()
	all.leaving = true
	if all.opening == 0 && len(all.opened) == 0 {
		all.mu.Unlock()
		return nil
	}
	settled := make(chan struct{})
	if all.opening > 0 { // for a goroutine that a task has left behind
		all.settled = settled
	} else {
		close(settled)
	}
	all.mu.Unlock()
	late := "" // what keeps those that are left from being closed
	select {
	case <-settled:
	case <-ctx.Done():
		const what = "a state that is still being opened"
		late = what + " is abandoned"
		failures = append(failures, dispatch.Failure{What: "leaving", Err: fmt.Errorf("%s is abandoned after %v", what, limit)})
	}
	all.mu.Lock()
	all.left = true
	opened := all.opened
	all.mu.Unlock()
	for _, o := range slices.Backward(opened) {
		if late == "" && ctx.Err() != nil {
			late = fmt.Sprintf("the worker's %v to leave are over (WithStopTimeout changes the limit)", limit)
		}
		if late != "" {
			failures = append(failures, closing(o.name, fmt.Errorf("it was not closed, because %s", late)))
			continue
		}
		over := make(chan error, 1)
		go func() { over <- ended(o.close) }()
		var err error
		select {
		case err = <-over:
		case <-ctx.Done():
			select {
			case err = <-over:
			default:
				late = fmt.Sprintf("state %q is abandoned", o.name) // which may have been opened by means of the others
				err = fmt.Errorf("it has not returned within %v and is abandoned (WithStopTimeout changes the limit)", limit)
			}
		}
		if err != nil {
			failures = append(failures, closing(o.name, err))
		}
	}
	return failures
}

// ended calls a function that closes a state. A panic in it is an error.
func ended(end func() error) (err error) {
	if gone := apart(func() { err = end() }); gone != nil {
		return gone
	}
	return err
}

func closing(name string, err error) dispatch.Failure {
	return dispatch.Failure{What: fmt.Sprintf("close of state %q", name), Err: err}
}
