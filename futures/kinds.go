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

// Bootup implements [Executor].
func (p *MPIPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start implements [Executor].
func (p *MPIPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers implements [Executor].
func (p *MPIPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend implements [Executor].
func (p *MPIPoolExecutor) Backend() string { return p.base().Backend() }

// Stats implements [Executor].
func (p *MPIPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close implements [Executor].
func (p *MPIPoolExecutor) Close() error { return p.base().Close() }

// Shutdown implements [Executor].
func (p *MPIPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}

func (p *ProcessPoolExecutor) base() *executor {
	if p == nil {
		return absent()
	}
	return &p.executor
}

// Bootup implements [Executor].
func (p *ProcessPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start implements [Executor].
func (p *ProcessPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers implements [Executor].
func (p *ProcessPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend implements [Executor].
func (p *ProcessPoolExecutor) Backend() string { return p.base().Backend() }

// Stats implements [Executor].
func (p *ProcessPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close implements [Executor].
func (p *ProcessPoolExecutor) Close() error { return p.base().Close() }

// Shutdown implements [Executor].
func (p *ProcessPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}

func (p *ThreadPoolExecutor) base() *executor {
	if p == nil {
		return absent()
	}
	return &p.executor
}

// Bootup implements [Executor].
func (p *ThreadPoolExecutor) Bootup(ctx context.Context) error { return p.base().Bootup(ctx) }

// Start implements [Executor].
func (p *ThreadPoolExecutor) Start() error { return p.base().Start() }

// NumWorkers implements [Executor].
func (p *ThreadPoolExecutor) NumWorkers(ctx context.Context) (int, error) {
	return p.base().NumWorkers(ctx)
}

// Backend implements [Executor].
func (p *ThreadPoolExecutor) Backend() string { return p.base().Backend() }

// Stats implements [Executor].
func (p *ThreadPoolExecutor) Stats() Stats { return p.base().Stats() }

// Close implements [Executor].
func (p *ThreadPoolExecutor) Close() error { return p.base().Close() }

// Shutdown implements [Executor].
func (p *ThreadPoolExecutor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	return p.base().Shutdown(ctx, opts...)
}
