package futures

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// closeGrace is how long a Shutdown that waits goes on waiting after a signal has told the program to end.
const closeGrace = 5 * time.Second

// signalled ends when Main receives the signal that ends its context.
var signalled, endSignalled = context.WithCancel(context.Background())

// signalledAt is when, in nanoseconds since 1970.
var signalledAt atomic.Int64

var errSignalled = errors.New("the program was told to end by a signal")

// heedSignal has a Shutdown that waits cancel what is queued and end the contexts of what runs when Main's context is
// ended by a signal: a deferred Close would otherwise hold the end of the program up until all that is queued has run.
// The context it returns ends a grace period after the signal. release must be called.
func heedSignal(ctx context.Context, m *dispatch.Master) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(signalled, func() {
		_, _ = m.Shutdown(ctx, false, true)
		m.Interrupt()
		// One grace for all executors, however they are closed.
		grace := time.Until(time.Unix(0, signalledAt.Load()).Add(closeGrace))
		limit := time.AfterFunc(grace, func() { cancel(errSignalled) })
		context.AfterFunc(ctx, func() { limit.Stop() })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
