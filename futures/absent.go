package futures

import "errors"

// What stands in for an executor or a future that is not there, mostly because an error was not looked at.
var (
	errNoExecutor = errors.New("futures: the executor is nil: look at the error of the call that was to make it")
	errInCallback = errors.New("futures: WaitCallbacks was called by a callback, and would wait for it")
	errNotMade    = errors.New("futures: the executor is a zero value: make one with NewMPIPoolExecutor, NewProcessPoolExecutor, " +
		"NewThreadPoolExecutor or With")
	errNoPromise = errors.New("futures: the promise is nil: make one with NewPromise")
	errNoFuture  = errors.New("futures: the future is nil: look at the error of the call that was to return it")
)

// baseOf returns what an executor is made of, if it is one.
func baseOf(ex Executor) (e *executor, err error) {
	switch x := ex.(type) {
	case *MPIPoolExecutor:
		if x != nil {
			e = &x.executor
		}
	case *ProcessPoolExecutor:
		if x != nil {
			e = &x.executor
		}
	case *ThreadPoolExecutor:
		if x != nil {
			e = &x.executor
		}
	case nil:
	default:
		e = inside(x)
	}
	if e == nil {
		return nil, errNoExecutor
	}
	return e, e.made()
}

// inside is baseOf for a type that has an executor inside, which may be nil.
func inside(ex Executor) (e *executor) {
	defer func() { _ = recover() }()
	return ex.base()
}

// made says whether a constructor made the executor.
func (e *executor) made() error {
	switch e.class {
	case noClass:
		return errNotMade
	case absentClass:
		return errNoExecutor
	}
	return nil
}

// absent returns what stands in for an executor that is nil: its methods return errors.
func absent() *executor { return &executor{class: absentClass} }

// orFailed returns f, or one that has failed in the place of nil.
func orFailed[T any](f *Future[T]) *Future[T] {
	if f == nil {
		f = new(Future[T])
		_, _ = f.fail(errNoFuture)
	}
	return f
}

// missing tells whether a future is nil.
func missing[F Awaitable](f F) bool { return any(f) == nil || f.base() == nil }
