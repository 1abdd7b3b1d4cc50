package futures

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/trace"
)

// Hook is called with what an executor and its workers have done: see [WithHooks].
//
// It runs in the master, on a goroutine of its own, one call after another. Each call gets the events since the previous one. The context
// ends when nobody waits for the hook any more. The hook may keep the batch.
type Hook func(ctx context.Context, b *HookBatch)

// HookBatch has the events of an executor since the previous batch. Each list is in the order in which the master learned of its entries,
// except merged tasks, which come last.
type HookBatch struct {
	Executor int    // counts the started executors of the program, from 1, as package monitor does
	Backend  string // of the executor, as its method Backend returns it

	Maps      []HookMap     // submitted maps, and calls on all workers
	Begun     []HookTask    // running tasks, once they have run for a fifth of a second
	Ended     []HookTask    // tasks that have ended, in any way
	Failures  []HookFailure // for each function the first thousand
	Cancelled []HookCancel  // tasks that will not run
	Workers   []HookWorker  // changes of workers

	Merged  int   // tasks of Ended that were merged with others because the hook was slower than the run
	Dropped int   // other entries that were dropped for the same reason
	Last    bool  // no batch follows: the workers have left
	Err     error // in the last batch: why the executor is broken; nil if it is not
}

// HookMap is a map or another call of several tasks that was submitted.
type HookMap struct {
	Job       uint64 // counts what was submitted to the executor, from 1
	Func      string
	Elements  int // 0: their number is not known yet
	ChunkSize int // elements of a task
	Submitted time.Time
}

// TaskOutcome is how a task has ended.
type TaskOutcome uint8

// The outcomes.
const (
	TaskSucceeded TaskOutcome = iota
	TaskFailed                // the function returned an error or panicked; for a chunk, on at least one element
	TaskLost                  // with its worker; it may run again
	TaskGivenUp               // it ignored the end of its time-out, on a worker that cannot be killed
)

// String returns a word for the outcome.
func (o TaskOutcome) String() string { return trace.Outcome(o).String() }

// HookTask is a task: a submitted call, or a chunk of a map. Tiny tasks of one job that were sent together are one HookTask. So are tiny
// calls of one function; their bytes and times are their share of what was sent together.
//
// A task that was reported as begun is reported again when it has ended, with the same job, first element, worker and attempt. The first
// element differs if the worker is lost in the middle of a chunk. Times are by the master's clock. Those of the worker are converted to it,
// exact to half of the shortest round trip.
type HookTask struct {
	Job      uint64 // counts what was submitted to the executor, from 1; 0 for tiny calls, which are not numbered
	Func     string
	First    int // the first element, in the job
	Elements int // how many elements of the job; for calls, how many calls
	Tasks    int // how many tasks these are: 1, unless they were tiny or merged
	Worker   int
	Attempt  int // which run of the task it is, from 1

	Queued   time.Time // when it was submitted
	Sent     time.Time // when it was sent to its worker
	Begun    time.Time
	Ended    time.Time     // for a lost task, when the loss was noticed; zero while it runs
	Received time.Time     // when the master had the answer; zero while it runs
	Busy     time.Duration // how long it ran; for several tasks, together

	In, Out int64 // bytes that were sent for it and that it returned, where they were encoded
	Outcome TaskOutcome

	// Longest is set for tasks that were merged because the hook was slower than the run: how long the longest of them ran. Job, First and
	// Attempt are those of that task then. Otherwise it is 0.
	Longest time.Duration
}

// HookFailure is the failure of a call, or of an element of a map.
type HookFailure struct {
	Job     uint64 // as in HookTask
	Func    string
	Element int // in the job
	Worker  int
	Attempt int // 0: the last
	At      time.Time
	Err     error // the error of the future, or of the ElementError
}

// HookCancel reports tasks of a job that will not run.
type HookCancel struct {
	Job   uint64 // as in HookTask
	Tasks int
	At    time.Time
}

// WorkerPhase is where a worker is in its life.
type WorkerPhase uint8

// The phases.
const (
	WorkerStarting WorkerPhase = iota + 1
	WorkerReady                // it can be given tasks
	WorkerLeaving              // it was told to leave
	WorkerLeft                 // it has
	WorkerLost
)

// String returns a word for the phase.
func (p WorkerPhase) String() string { return trace.Phase(p).String() }

// HookWorker reports that a worker has entered a phase.
type HookWorker struct {
	Worker int // its number, from 0
	Phase  WorkerPhase
	At     time.Time
	Host   string // "" until it is ready
	Pid    int    // 0 likewise
	Rank   int    // of MPI; -1 for none
	Err    error  // why it was lost, or did not leave as it should
}

// WithHooks calls functions with what the executor and its workers do: which tasks ran when and where, which have failed, which workers
// were lost. Hooks are for programs that export these events, such as spans to OpenTelemetry (examples/otel). For a file use [WithTrace],
// for the current counters [Executor.Stats]. Results that come from a journal are not reported, since nothing ran. Nil hooks are left out;
// hooks of several options are all called.
//
// Only the end of the executor waits for a hook. A hook is called about every quarter of a second if there are events, sooner when there
// are many, on a goroutine of its own, so it may block. While it does, some 16,384 entries wait for it, some megabytes. Further tasks are
// merged by worker, function and outcome, and other entries are dropped. The next batch has the count of each, which is 0 for a hook that
// keeps up. The sum of [HookTask.Tasks] is right in any case. Other hooks and recordings lose nothing.
//
// A hook that panics, or calls [runtime.Goexit], is not called again. The log has an error, and the executor goes on.
//
// The last batch comes when the workers have left. Close, a Shutdown that waits, joining a pool and the end of [Main] wait until the hook
// has returned from it: for at most 5 seconds, or at most a second when the context of Shutdown has ended or a signal ends the program.
// Then the hook's context ends, and the log has a warning. A hook may use the executor, but must not wait for its end: the executor waits
// for the hook, so both would wait for these 5 seconds.
//
// Hooks are called in the process that has made the executor, so in a worker only for the executors of its tasks. Two executors with the
// same hook may call it at the same time.
func WithHooks(hooks ...Hook) Option {
	return option(func(c *config) error {
		for _, h := range hooks {
			if h != nil {
				c.hooks = append(c.hooks, h)
			}
		}
		return nil
	})
}

// hookLimit is how long the end of an executor waits for its hooks.
const hookLimit = 5 * time.Second

var errHooksLate = errors.New("futures: the executor has ended, and does not wait for its hooks any longer")

// hooks are those of an executor.
type hooks struct {
	ctx        context.Context
	giveUp     context.CancelCauseFunc
	complaints lane.Logger
	late       sync.Once
}

// newHooks makes hooks of the events of a recording.
func (e *executor) newHooks(complaints lane.Logger) func(began time.Time) []trace.Hook {
	if len(e.cfg.hooks) == 0 {
		return nil
	}
	e.hooks = &hooks{complaints: complaints}
	e.hooks.ctx, e.hooks.giveUp = context.WithCancelCause(context.Background())
	return func(began time.Time) (all []trace.Hook) {
		for _, h := range e.cfg.hooks {
			t := &hookCaller{hook: h, of: e.hooks, began: began, executor: e.number, backend: e.backend}
			all = append(all, t.tell)
		}
		return all
	}
}

// await waits for the hooks of an executor whose recording is closed.
func (h *hooks) await(ctx context.Context, p *trace.Pool) {
	if h == nil {
		return
	}
	both, cancel := context.WithTimeout(ctx, hookLimit)
	defer context.AfterFunc(h.ctx, cancel)()
	defer cancel()
	moment, release := life.LastWords(h.ctx)
	defer release()
	if p.AwaitHooks(moment) != nil { // for a moment even if ctx has ended
		if p.AwaitHooks(both) != nil {
			h.late.Do(func() {
				h.complaints.Warn("rankpool: a hook has not returned from its last batch; the executor ends without waiting for it")
			})
		}
	}
	h.giveUp(errHooksLate)
}

// hookCaller makes batches for one hook of what happens. Its goroutine is that of the hook.
type hookCaller struct {
	hook     Hook
	of       *hooks
	began    time.Time
	executor int
	backend  string
}

// tell calls the hook, if there is something to tell.
func (t *hookCaller) tell(events trace.Batch) (enough bool) {
	b := t.batch(&events)
	if len(b.Maps)+len(b.Begun)+len(b.Ended)+len(b.Failures)+len(b.Cancelled)+len(b.Workers) == 0 && b.Dropped == 0 && !b.Last {
		return false
	}
	gone := apart(func() { t.hook(t.of.ctx, b) })
	if gone != nil {
		text := fmt.Sprint(gone)
		if p := new(PanicError); errors.As(gone, &p) {
			text = fmt.Sprintf("%+v", gone)
		}
		t.of.complaints.Error("rankpool: a hook has panicked, and is not called again", "executor", t.executor, "err", text)
	}
	return gone != nil
}

func (t *hookCaller) at(d time.Duration) time.Time { return t.began.Add(d) }

// batch is for the hook what these events are.
func (t *hookCaller) batch(events *trace.Batch) *HookBatch {
	b := &HookBatch{Executor: t.executor, Backend: t.backend, Merged: events.Units, Dropped: events.Missed, Last: events.Last}
	ended := len(events.Merged)
	for i := range events.Events {
		if events.Events[i].Kind == trace.UnitsRan {
			ended++
		}
	}
	if ended > 0 {
		b.Ended = make([]HookTask, 0, ended)
	}
	for i := range events.Events {
		switch e := &events.Events[i]; e.Kind {
		case trace.JobQueued:
			b.Maps = append(b.Maps, HookMap{Job: e.Job, Func: e.Func, Elements: e.Count, ChunkSize: e.Chunk, Submitted: t.at(e.At)})
		case trace.UnitsBegun:
			task := t.task(e)
			task.Ended, task.Received = time.Time{}, time.Time{}
			b.Begun = append(b.Begun, task)
		case trace.UnitsRan:
			b.Ended = append(b.Ended, t.task(e))
		case trace.UnitFailed:
			b.Failures = append(b.Failures, HookFailure{Job: e.Job, Func: e.Func, Element: e.First, Worker: e.Worker, Attempt: e.Attempt, At: t.at(e.At), Err: e.Err})
		case trace.Cancelled:
			b.Cancelled = append(b.Cancelled, HookCancel{Job: e.Job, Tasks: e.Units, At: t.at(e.At)})
		case trace.WorkerIs:
			b.Workers = append(b.Workers, HookWorker{Worker: e.Worker, Phase: WorkerPhase(e.Phase), At: t.at(e.At), Host: e.Host, Pid: e.Pid, Rank: e.Rank, Err: e.Err})
		case trace.PoolEnds:
			b.Err = e.Err
		}
	}
	for _, e := range events.Merged {
		b.Ended = append(b.Ended, t.task(e))
	}
	return b
}

// task is what an event of units tells.
func (t *hookCaller) task(e *trace.Event) HookTask {
	return HookTask{Job: e.Job, Func: e.Func, First: e.First, Elements: e.Count, Tasks: e.Units, Worker: e.Worker, Attempt: e.Attempt,
		Queued: t.at(e.Queued), Sent: t.at(e.At), Begun: t.at(e.Begun), Ended: t.at(e.Ended), Received: t.at(e.Answered), Busy: e.Busy,
		In: e.In, Out: e.Out, Outcome: TaskOutcome(e.Outcome), Longest: e.Longest}
}

// endRecording ends the recording of this executor, whose workers have left, and waits a moment until it is written and the hooks have been told. The wait
// for these is shorter when ctx ends.
func (e *executor) endRecording(ctx context.Context, m *dispatch.Master) {
	if e.recording == nil {
		return
	}
	var why error
	if state, err := m.State(); state == dispatch.Broken {
		why = err
	}
	if err := closeRecording(e.recording, why); err != nil {
		life.Complaints().Warn("rankpool: " + err.Error())
	}
	e.hooks.await(ctx, e.recording)
}

// closeRecording ends a recording and waits a moment until it is written.
func closeRecording(r *trace.Pool, why error) error {
	ctx, release := life.LastWords(context.Background())
	defer release()
	return r.Close(ctx, why)
}
