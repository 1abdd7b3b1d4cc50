package futures

import (
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/lane"
)

// RunInfo says where a task ran, and for how long. [Future.Ran] returns it.
type RunInfo struct {
	// Worker is the worker that ran the task. If the task ran several times (WithRetries), it is that of the last run, and Attempt is the
	// number of that run.
	Worker WorkerInfo

	// Elapsed is how long the worker took for the task, including its waits, the decoding of its argument and the encoding of its result.
	// Time in queues and on the way is not included. Tasks that are so short that they are sent together are timed together, and each has
	// an equal share of that time. It is 0 if unknown: the worker was lost with the task, or the task was abandoned because it had ignored
	// the end of its context.
	Elapsed time.Duration
}

// Ran returns which worker ran the task whose result the future is, and for how long. It does not block. The second result is false while
// the future is not done, and if no worker ran it. No worker ran it when it was cancelled, when it was still queued when its pool broke,
// and when it is not the future of one task, but made by a [Promise], [Collect], [Compose], [Then] and the like.
//
// A task that failed or panicked did run, and so did one that was lost with its worker. For [SubmitEach] it is the call that took longest.
func (f *Future[T]) Ran() (RunInfo, bool) {
	f.mu.Lock()
	r, ok := f.owner.(*ran)
	if o, is := f.owner.(opener); is {
		r, ok = o.ran(), true
	}
	f.mu.Unlock()
	if !ok {
		return RunInfo{}, false
	}
	info := RunInfo{Worker: WorkerInfo(r.Site.Place), Elapsed: r.Took}
	info.Worker.Attempt = r.Attempt
	return info, true
}

// ran is the owner of a future that is done because its task has run.
type ran dispatch.Record

// cancelled implements canceller. It is not called.
func (r *ran) cancelled() *callbackList { return nil }

// lane implements canceller.
func (r *ran) lane() *lane.Lane { return &r.Site.Of.(*executor).callbacks }

// settleBy is settle for the end of a task that ran as the record says; nil says that it did not.
func (f *Future[T]) settleBy(by *dispatch.Record, v T, err error) *callbackList {
	err = explained(f.owner, err)
	if !f.begin() {
		return nil
	}
	if by != nil {
		f.owner = (*ran)(by)
	}
	if err == nil {
		f.value = v
	}
	return f.end(err).release()
}
