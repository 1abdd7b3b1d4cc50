package futures

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/remote"
	"github.com/rankpool/rankpool/internal/settings"
	"github.com/rankpool/rankpool/internal/trace"
)

// Executor runs calls of registered functions on a pool of workers. It is an [*MPIPoolExecutor], [*ProcessPoolExecutor] or
// [*ThreadPoolExecutor]. [Submit] and [Map] give it work. Nothing starts until it is first used. All methods may be called from several
// goroutines at once. A zero value, or a nil pointer in an Executor, is no executor: methods that can return an error return one. The
// functions of this package return an error for a nil Executor.
type Executor interface {
	// Bootup starts the workers and waits until they are ready, or until ctx ends. It may be called again. After a shutdown the error is
	// ErrShutdown. If the pool breaks, then or later, the error is the *BrokenError that says why.
	Bootup(ctx context.Context) error

	// Start is Bootup without the waiting: what goes wrong later shows at the next call.
	Start() error

	// NumWorkers starts the workers if necessary, waits until their number is known, and returns it. After a shutdown it is 0 without an
	// error; on a broken pool it is 0 with the *BrokenError. While the program ends after a signal the error is ErrDrained.
	NumWorkers(ctx context.Context) (int, error)

	// Backend returns what the workers are: "processes", "threads" or "mpi". Before the start it is what would be started; for a zero value
	// it is "".
	Backend() string

	// Stats returns the current counters of the pool.
	Stats() Stats

	// Close is Shutdown without a limit: it waits until everything queued has run and the workers have left. (Close of a pool.Pool is like
	// Python's and does not wait.) An executor that is never closed is closed when Main's function returns. If a task has made it in a
	// worker, it is closed when that worker leaves. Work that is not finished within WithStopTimeout then, or within three quarters of it
	// if the worker has states to close, is abandoned; the outer executor's Close returns an error for it.
	//
	// If the pool broke, the error is the *BrokenError that says why, each time. Workers that ended badly after their work are an error
	// too.
	//
	// A deferred Close waits however the function ends. A function that returns an error while work is queued therefore returns only when
	// all of that work has run, and its caller does not see the error before. With does not wait then.
	Close() error

	// Shutdown forbids further calls and waits until everything queued has run and the workers have left. If ctx ends before, it returns a
	// *ShutdownError that says what still runs, and that goes on. If ctx has ended at the call it does not wait, which is no error when
	// nothing runs and nothing is queued. The options change this. It may be called again, with any options.
	Shutdown(ctx context.Context, opts ...ShutdownOption) error

	base() *executor
}

// ShutdownOption is an option of Shutdown.
type ShutdownOption interface{ shutdown(*shutdownConfig) }

type shutdownConfig struct {
	noWait, cancel, interrupt bool
	grace                     time.Duration // until what goes on is killed; 0: it is not
}

type shutdownOption func(*shutdownConfig)

func (o shutdownOption) shutdown(c *shutdownConfig) { o(c) }

// NoWait makes Shutdown return at once. Queued calls still run; a later Shutdown can wait for them.
func NoWait() ShutdownOption { return shutdownOption(func(c *shutdownConfig) { c.noWait = true }) }

// CancelFutures makes Shutdown cancel everything that has not been handed to a worker. Running tasks finish.
func CancelFutures() ShutdownOption {
	return shutdownOption(func(c *shutdownConfig) { c.cancel = true })
}

// programGrace is how long the programs that tasks have started may go on when InterruptTasks has ended the contexts of the
// tasks.
const programGrace = time.Second

// InterruptTasks makes Shutdown end the contexts of running tasks. With local processes on Linux, the programs that these tasks have
// started are killed one second later. A task that waits for such a program ends then, even if it does not look at its context.
func InterruptTasks() ShutdownOption {
	return shutdownOption(func(c *shutdownConfig) { c.interrupt = true })
}

// KillTasks is [InterruptTasks] with a limit: a task that goes on for longer than grace loses its worker, and its future fails with a
// [*BrokenError] that matches [context.Canceled]. Where the workers are goroutines or ranks the future fails then too, but the task is left
// running. Queued calls run afterwards, unless [CancelFutures] is given as well. A grace of zero or less kills at once.
func KillTasks(grace time.Duration) ShutdownOption {
	return shutdownOption(func(c *shutdownConfig) { c.interrupt, c.grace = true, max(grace, 1) })
}

// executor is what all executors are made of.
type executor struct {
	class  class
	cfg    config
	shares bool // arguments are shared, not encoded: workers are goroutines and the class promises it
	limit  atomic.Int64

	master     atomic.Pointer[dispatch.Master]
	starting   sync.Mutex // held while the scheduler is made, which may start MPI
	mu         sync.Mutex // held for moments; taken behind starting
	shut       bool
	backend    string
	workers    int                                 // processes, ranks or goroutines, as asked for
	slots      int                                 // of each of them
	globals    []globalValue                       // as they are sent
	payload    payload                             // the large parts of these, and of the initializer's argument
	setting    sync.Mutex                          // held while the next generation is made of the last one
	generation atomic.Pointer[dispatch.Generation] // of what is submitted now; nil until something was set

	home     *dispatch.Home     // where tasks may lend their slots; nil elsewhere
	settings *settings.Settings // what the workers' processes are set to; nil: nothing
	world    bool               // its workers are the ranks of this process's world
	joins    bool               // its workers' processes were set up for another executor

	// Code of the user's runs on these, apart from everything that somebody else waits for: decoders of results and errors, and
	// callbacks. A lane that is held up holds up neither the other nor the tasks.
	decoding  lane.Lane
	callbacks lane.Lane
	log       lane.Logger // zero before the start
	recording *trace.Pool // nil: nothing is recorded, and nobody told
	hooks     *hooks      // nil: there are none
	number    int         // among the executors of the program that have started

	recordings sync.Map      // of functions in journals: by recordingKey, a *resultlog.Func
	recalled   atomic.Uint64 // calls and elements that were delivered from journals
	maps       mapsUnderWay

	bound  bindings    // calls that end with contexts
	feeds  atomic.Bool // there were calls that take results
	looked atomic.Bool // the program has looked at what went wrong when workers left

	comm job.Comm // MPICommExecutor: whose ranks are the workers

	// help lets a waiting goroutine poll the workers; nil where they need no polling. It is set when they start.
	help func(done func() bool)

	// endPrograms ends what tasks that still run have started, where that can be; nil elsewhere. It is set likewise.
	endPrograms func()
}

// class is which executor this is.
type class int

const (
	noClass     class = iota // of a zero value
	absentClass              // of what stands in for a nil pointer
	mpiClass
	processClass
	threadClass
)

// The words of RANKPOOL_BACKEND.
const (
	backendAuto      = "auto"
	backendMPI       = "mpi"
	backendProcesses = "processes"
	backendThreads   = "threads"
)

func (e *executor) base() *executor { return e }

// usable says whether a function can be given to this executor at all.
func (e *executor) usable(none, local bool, name string) error {
	switch {
	case none:
		return errors.New("futures: the function is not registered: a Func must come from Register, RegisterContext or Local")
	case local && !e.shares:
		return fmt.Errorf("futures: %s is a Local function and cannot be sent to workers outside this process: "+
			"give it a name with Register, or use a ThreadPoolExecutor", name)
	}
	return nil
}

// threshold is the encoder's out-of-band threshold.
func (e *executor) threshold() int { return int(e.limit.Load()) }

// started returns the scheduler, and makes it if nothing did before. That may take its time, and a shutdown does not wait for it.
func (e *executor) started() (*dispatch.Master, error) {
	if m := e.master.Load(); m != nil {
		return m, nil
	}
	e.starting.Lock()
	defer e.starting.Unlock()
	if m := e.master.Load(); m != nil {
		return m, nil
	}
	if err := cmp.Or(e.made(), e.over()); err != nil {
		return nil, err
	}
	m, err := e.newMaster()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	err = e.overLocked() // in the meantime; nothing of m runs yet
	if err == nil && e.world {
		err = e.shareWorld(m)
	}
	if err != nil {
		if e.recording != nil {
			rec, hooks := e.recording, e.hooks // a further try has others
			go func() {
				_ = closeRecording(rec, err)
				hooks.await(context.Background(), rec)
			}()
		}
		return nil, err
	}
	e.master.Store(m)
	track(e, m)
	life.StartMonitor()
	return m, nil
}

// over says why nothing begins any more, if that is so.
func (e *executor) over() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.overLocked()
}

func (e *executor) overLocked() error {
	switch {
	case life.Draining():
		return ErrDrained
	case e.shut:
		return ErrShutdown
	}
	return nil
}

// newMaster reads the environment and makes the group of workers and its scheduler. Nothing runs yet.
func (e *executor) newMaster() (*dispatch.Master, error) {
	complaints := life.Complaints()
	e.log = lane.NewLogger(life.LogHandler{})
	if e.cfg.log != nil {
		e.log = lane.NewLogger(e.cfg.log.Handler())
		complaints = e.log
	}
	env, err := e.environment(complaints.Logger)
	if err != nil {
		return nil, err
	}
	backend, err := e.chooseBackend(env)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.backend = backend
	e.mu.Unlock()
	if e.backend == backendProcesses {
		if why := e.insteadOfSpawning(env); why != "" {
			saidInstead.Do(func() { complaints.Warn("rankpool: " + why) })
		}
	}
	log := e.log.Logger
	e.slots, e.workers = e.chooseSlots(env)
	if e.cfg.backoff == 0 {
		e.cfg.backoff = env.backoff
	}
	e.limit.Store(int64(e.chooseThreshold(env)))
	e.settle()
	group, err := e.newGroup(env, log)
	if err != nil {
		return nil, err
	}
	var setup []byte
	if !e.shares {
		if setup, err = e.setupMessage(); err != nil {
			return nil, err
		}
	}
	e.number = life.Number()
	segments, load := e.payload.travels(e.backend)
	if e.recording, err = e.record(env, complaints); err != nil {
		return nil, err
	}
	return dispatch.New(dispatch.Config{
		Group: group, Log: log, Setup: setup, SetupSegments: segments, SetupLoad: load,
		Check:            checkFingerprint(e.backend),
		Name:             e.nameOf,
		DecodeError:      e.decodeError,
		DecodeSetupError: e.decodeSetupError,
		DecodeLeaveError: e.remoteError,
		Of:               e,
		Aside:            e.decoding.Add,
		Stuck:            life.Stuck,
		MaxTasks:         e.cfg.maxTasks,
		Trace:            e.recording,
		Home:             e.home,
		Slots:            e.known(),
		Patient:          e.comm != nil,
		Start:            e.cfg.start, Liveness: e.cfg.liveness, Stop: e.cfg.stop,
	}), nil
}

// known returns how many workers there will be, if that is known before they are there, else 0.
func (e *executor) known() int {
	if e.backend == backendMPI {
		return 0
	}
	return e.workers * e.slots
}

func (e *executor) chooseThreshold(env environment) int {
	on := env.outOfBand
	if e.cfg.outOfBand != nil {
		on = *e.cfg.outOfBand
	}
	switch {
	case !on:
		return -1
	case e.cfg.threshold > 0:
		return e.cfg.threshold
	case env.threshold > 0:
		return env.threshold
	}
	return pkl5.DefaultThreshold
}

// Start implements [Executor].
func (e *executor) Start() error {
	m, err := e.started()
	if err != nil {
		return err
	}
	return refusal(m.Boot())
}

// Bootup implements [Executor].
func (e *executor) Bootup(ctx context.Context) error {
	if err := e.Start(); err != nil {
		return err
	}
	m := e.master.Load()
	if err := awaitBoot(ctx, m); err != nil {
		return err
	}
	return refusal(m.Refusal())
}

func awaitBoot(ctx context.Context, m *dispatch.Master) error {
	select {
	case <-m.Booted():
		return nil
	default:
	}
	select {
	case <-m.Booted():
		return nil
	case <-ctx.Done():
		return gaveUp(ctx, "the workers to start")
	}
}

// NumWorkers implements [Executor].
func (e *executor) NumWorkers(ctx context.Context) (int, error) {
	switch err := e.Bootup(ctx); {
	case errors.Is(err, ErrShutdown):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return e.master.Load().Size(), nil
}

// Backend implements [Executor].
func (e *executor) Backend() string {
	e.mu.Lock()
	chosen := e.backend
	e.mu.Unlock()
	if chosen != "" || e.made() != nil {
		return chosen
	}
	env, err := e.environment(slog.New(slog.DiscardHandler))
	if err != nil {
		env.backend = backendAuto
	}
	b, err := e.chooseBackend(env)
	if err != nil {
		return env.backend
	}
	return b
}

// Close implements [Executor].
func (e *executor) Close() error { return e.Shutdown(context.Background()) }

// Shutdown implements [Executor].
func (e *executor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	err := e.shutdown(ctx, opts...)
	if end, ok := err.(*endError); ok {
		return &endError{end.cause, &e.looked}
	}
	return err
}

// endError is what went wrong when the workers left. It notes that somebody looks at it, which decides about a program's tests.
type endError struct {
	cause  error
	looked *atomic.Bool // nil for the end of the program itself
}

func (e *endError) look() {
	if e.looked != nil {
		e.looked.Store(true)
	}
}

func (e *endError) Error() string {
	e.look()
	return "futures: every task was answered, and then: " + e.cause.Error()
}

func (e *endError) Unwrap() error {
	e.look()
	return e.cause
}

// shutdown is Shutdown for the end of the program.
func (e *executor) shutdown(ctx context.Context, opts ...ShutdownOption) error {
	var c shutdownConfig
	for _, o := range opts {
		if o != nil {
			o.shutdown(&c)
		}
	}
	if err := e.made(); err != nil {
		return err
	}
	if e.home != nil && !c.noWait && (dispatch.HomeOf(ctx) == e.home || e.home.Inside()) {
		return errWithin
	}
	e.mu.Lock()
	e.shut = true
	m := e.master.Load()
	e.mu.Unlock()
	if m == nil {
		if c.noWait || e.callbacks.Drain(ctx) == nil {
			return nil
		}
		return &ShutdownError{Cause: gaveUp(ctx, "the callbacks")}
	}
	if c.interrupt {
		if c.cancel { // first, or what is handed out between the two would go on
			_, _ = m.Shutdown(ctx, false, true)
		}
		m.Interrupt(c.grace)
		if e.endPrograms != nil && !life.WasSignalled() { // after a signal there is another time, and then all ends
			time.AfterFunc(programGrace, e.endPrograms)
		}
	}
	if !c.noWait {
		var release func()
		ctx, release = life.UntilSignal(ctx, m)
		defer release()
	}
	running, err := m.Shutdown(ctx, !c.noWait, c.cancel)
	if err == nil && !c.noWait {
		err = cmp.Or(e.decoding.Drain(ctx), e.callbacks.Drain(ctx))
	}
	// The recording would miss what is decoded later, which ends it, unless the program ends before.
	if !c.noWait && (err == nil || c.cancel && c.interrupt || life.WasSignalled()) {
		select {
		case <-m.Closed():
			e.endRecording(ctx, m)
		default: // the workers are still leaving: the recording ends when they have left
		}
	}
	if !c.noWait {
		life.FlushLast(e.log, life.Complaints())
	}
	if err != nil {
		cut := &ShutdownError{Cause: gaveUp(ctx, "the executor to shut down")}
		for _, t := range running {
			cut.Running = append(cut.Running, RunningTask(t))
		}
		return cut
	}
	if c.noWait {
		return nil
	}
	if state, why := m.State(); state == dispatch.Broken {
		return why
	}
	if err := m.Ended(); err != nil {
		return &endError{cause: err}
	}
	return nil
}

// dropped tells the scheduler that the future of a queued job was cancelled.
func (e *executor) dropped(j *dispatch.Job) {
	if m := e.master.Load(); m != nil {
		m.Cancelled(j)
	}
}

// interrupts ends the context of a job that runs, and tells whether it does.
func (e *executor) interrupts(j *dispatch.Job) bool {
	m := e.master.Load()
	return m != nil && m.InterruptJob(j)
}

// notify has the callbacks of futures that are done called.
func (e *executor) notify(l *callbackList) {
	if l != nil {
		e.callbacks.Add(l.runHere)
	}
}

// checkFingerprint compares a worker's program with this one.
func checkFingerprint(backend string) func(int, dispatch.Hello) error {
	if backend == backendThreads {
		return nil
	}
	ours := registry.Default().Fingerprint()
	return func(w int, h dispatch.Hello) error {
		theirs, err := registry.DecodeFingerprint(h.Fingerprint)
		if err != nil {
			return fmt.Errorf("worker %d on %s sent a damaged fingerprint: %w", w, h.Host, err)
		}
		ours := ours
		ours.MPI = mpi.Library() // it runs by now, where workers are ranks
		if diff := registry.Diff(ours, theirs); diff != "" {
			return &MismatchError{Worker: w, Host: h.Host, Diff: diff}
		}
		return nil
	}
}

// nameOf is the name of a function by its number.
func (e *executor) nameOf(fn uint32) string {
	if e.shares {
		return sharedName(fn)
	}
	return functionName(fn)
}

func functionName(fn uint32) string {
	if e, ok := registry.Default().At(int(fn)); ok {
		return e.Name
	}
	return "task"
}

// decodeError makes what a future gets of an error that a worker encoded.
func (e *executor) decodeError(b []byte, fn uint32, w int, h dispatch.Hello) error {
	return e.remoteError(b, functionName(fn), w, h)
}

func (e *executor) decodeSetupError(b []byte, w int, h dispatch.Hello) error {
	name := "set-up"
	if i := e.cfg.initializer; i != nil {
		name = "initializer " + i.name
	}
	return e.remoteError(b, name, w, h)
}

func (e *executor) remoteError(b []byte, name string, w int, h dispatch.Hello) error {
	var cause, problem error
	if gone := apart(func() { cause, _, problem = remote.Decode(b) }); gone != nil {
		problem = gone
	}
	if problem != nil {
		cause = fmt.Errorf("an error arrived damaged: %w", problem)
	}
	return remote.New(remote.Error{
		Func: name, Worker: w, Workers: h.Workers, Rank: h.Rank, Host: h.Host, Pid: h.Pid, Thread: e.backend == backendThreads,
	}, cause)
}
