package futures

import "context"

// The methods of each kind of executor are those of what it is made of. They are written down so that a nil pointer, such as one that
// came into an Executor together with an error nobody looked at, returns an error and does not panic.

func (p *MPIPoolExecutor) base() *executor {
	if p == nil {
		return absent()
	}
	return &p.executor
}

// Bootup starts the workers and waits until they are ready, or until ctx ends: see [Executor].
func (p *MPIPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start is [MPIPoolExecutor.Bootup] without the waiting: see [Executor].
func (p *MPIPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers starts the workers if nothing did before, and returns how many there are: see [Executor].
func (p *MPIPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend says what the workers are, "processes", "threads" or "mpi": see [Executor].
func (p *MPIPoolExecutor) Backend() string { return p.base().Backend() }

// Stats returns the counters of the pool as they are now: see [Executor].
func (p *MPIPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close forbids further calls, and waits until everything queued has run and the workers have left: see [Executor].
func (p *MPIPoolExecutor) Close() error { return p.base().Close() }

// Shutdown is [MPIPoolExecutor.Close] with a limit: it stops waiting when ctx ends. The options can change that: see [Executor].
func (p *MPIPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}

func (p *ProcessPoolExecutor) base() *executor {
	if p == nil {
		return absent()
	}
	return &p.executor
}

// Bootup starts the workers and waits until they are ready, or until ctx ends: see [Executor].
func (p *ProcessPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start is [ProcessPoolExecutor.Bootup] without the waiting: see [Executor].
func (p *ProcessPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers starts the workers if nothing did before, and returns how many there are: see [Executor].
func (p *ProcessPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend says what the workers are, "processes", "threads" or "mpi": see [Executor].
func (p *ProcessPoolExecutor) Backend() string { return p.base().Backend() }

// Stats returns the counters of the pool as they are now: see [Executor].
func (p *ProcessPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close forbids further calls, and waits until everything queued has run and the workers have left: see [Executor].
func (p *ProcessPoolExecutor) Close() error { return p.base().Close() }

// Shutdown is [ProcessPoolExecutor.Close] with a limit: it stops waiting when ctx ends. The options can change that: see [Executor].
func (p *ProcessPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}

func (p *ThreadPoolExecutor) base() *executor {
	if p == nil {
		return absent()
	}
	return &p.executor
}

// Bootup starts the workers and waits until they are ready, or until ctx ends: see [Executor].
func (p *ThreadPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start is [ThreadPoolExecutor.Bootup] without the waiting: see [Executor].
func (p *ThreadPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers starts the workers if nothing did before, and returns how many there are: see [Executor].
func (p *ThreadPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend says what the workers are, "processes", "threads" or "mpi": see [Executor].
func (p *ThreadPoolExecutor) Backend() string { return p.base().Backend() }

// Stats returns the counters of the pool as they are now: see [Executor].
func (p *ThreadPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close forbids further calls, and waits until everything queued has run and the workers have left: see [Executor].
func (p *ThreadPoolExecutor) Close() error { return p.base().Close() }

// Shutdown is [ThreadPoolExecutor.Close] with a limit: it stops waiting when ctx ends. The options can change that: see [Executor].
func (p *ThreadPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}
