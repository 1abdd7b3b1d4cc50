package futures

import (
	"context"
	"errors"
	"time"

	"github.com/rankpool/rankpool/internal/life"
)

// With makes an executor, calls body with it, and ends it. The type of body's parameter selects the executor: an [*MPIPoolExecutor] or
// [Executor] is made by [NewMPIPoolExecutor], the others by their own constructors. A body that is declared elsewhere can take ctx first.
//
//	err := futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
//		…
//	}, futures.WithMaxWorkers(4))
//
// When body returns nil, With waits until everything queued has run and the workers have left, as Close does, or until ctx ends.
//
// When body returns an error or panics, With does not wait: it returns that error, or the panic goes on. Queued calls are cancelled. A
// running task may finish within the grace period of the program ([WithDrainGrace]; 5 s unless set); then its context ends. If ctx has
// ended, or ends while With waits, the contexts of tasks end at once.
//
// The error is that of the options, of body, or of the end: a [*ShutdownError] when ctx ended first.
func With[B Body](ctx context.Context, body B, opts ...Option) error {
	switch f := any(body).(type) {
	case func(*MPIPoolExecutor) error:
		return within(ctx, mpiClass, new(MPIPoolExecutor), f, opts)
	case func(*ProcessPoolExecutor) error:
		return within(ctx, processClass, new(ProcessPoolExecutor), f, opts)
	case func(*ThreadPoolExecutor) error:
		return within(ctx, threadClass, new(ThreadPoolExecutor), f, opts)
	case func(Executor) error:
		return within(ctx, mpiClass, Executor(new(MPIPoolExecutor)), f, opts)
	case func(context.Context, *MPIPoolExecutor) error:
		return within(ctx, mpiClass, new(MPIPoolExecutor), bound(ctx, f), opts)
	case func(context.Context, *ProcessPoolExecutor) error:
		return within(ctx, processClass, new(ProcessPoolExecutor), bound(ctx, f), opts)
	case func(context.Context, *ThreadPoolExecutor) error:
		return within(ctx, threadClass, new(ThreadPoolExecutor), bound(ctx, f), opts)
	case func(context.Context, Executor) error:
		return within(ctx, mpiClass, Executor(new(MPIPoolExecutor)), bound(ctx, f), opts)
	}
	panic("futures: With: a form of Body is missing")
}

// Body is what [With] can call.
type Body interface {
	func(*MPIPoolExecutor) error | func(*ProcessPoolExecutor) error | func(*ThreadPoolExecutor) error | func(Executor) error |
		func(context.Context, *MPIPoolExecutor) error | func(context.Context, *ProcessPoolExecutor) error |
		func(context.Context, *ThreadPoolExecutor) error | func(context.Context, Executor) error
}

// bound gives a body its context.
func bound[E Executor](ctx context.Context, body func(context.Context, E) error) func(E) error {
	if body == nil {
		return nil
	}
	return func(ex E) error { return body(ctx, ex) }
}

func within[E Executor](ctx context.Context, c class, ex E, body func(E) error, opts []Option) error {
	if body == nil {
		return errors.New("futures: With: the function is nil")
	}
	e := ex.base()
	if err := e.init(c, "With", opts); err != nil {
		return err
	}
	returned := false
	defer func() {
		if !returned {
			e.abandon(ctx)
		}
	}()
	err := body(ex)
	returned = true
	if err == nil {
		err = e.Shutdown(ctx)
	}
	if err != nil {
		e.abandon(ctx)
	}
	return err
}

// abandon cancels what is queued and does not wait. What runs has the grace of the program, unless ctx has ended.
func (e *executor) abandon(ctx context.Context) {
	e.mu.Lock()
	e.shut = true
	m := e.master.Load()
	e.mu.Unlock()
	if m == nil {
		return
	}
	_, _ = m.Shutdown(ctx, false, true) // without waiting it cannot fail
	if ctx.Err() != nil {
		m.Interrupt(0)
		return
	}
	limit := time.AfterFunc(life.AfterFailure(), func() { m.Interrupt(0) })
	m.OnClosed(func() { limit.Stop() })
}
