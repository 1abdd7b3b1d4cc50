package mpi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ThreadLevel is what a library allows several threads to do, MPI 4.0 section 11.6.
type ThreadLevel int

// The levels. The zero value asks for Multiple.
const (
	Single ThreadLevel = iota + 1
	Funneled
	Serialized
	Multiple
)

// String is the level as MPI writes it.
func (l ThreadLevel) String() string {
	switch l {
	case Single:
		return "MPI_THREAD_SINGLE"
	case Funneled:
		return "MPI_THREAD_FUNNELED"
	case Serialized:
		return "MPI_THREAD_SERIALIZED"
	case Multiple:
		return "MPI_THREAD_MULTIPLE"
	}
	return fmt.Sprintf("ThreadLevel(%d)", int(l))
}

// Family is a lineage of MPI libraries: those of one family share launcher and binary interface.
type Family int

// The families.
const (
	OtherMPI Family = iota
	OpenMPI
	MPICH // MPICH and what is built from it: Intel MPI, MVAPICH, Cray MPICH
)

// String is the family's name.
func (f Family) String() string { return [...]string{"another MPI", "Open MPI", "MPICH"}[f] }

// Options are the choices of Init. The zero value is right for a program.
type Options struct {
	Level ThreadLevel // what to ask for; Multiple unless set

	// AnyLauncher accepts a world whose size differs from what the launcher's variables promise.
	AnyLauncher bool
}

// Environment is what Init found.
type Environment struct {
	Family   Family
	Library  string      // first line of the library's own description
	Chosen   string      // how it was chosen: the file, why that one, and what was looked at before
	Level    ThreadLevel // what the library gave
	Adopted  bool        // somebody else had called MPI_Init; Finalize is theirs too
	Host     string      // MPI_Get_processor_name
	Launcher Launcher
	Restored []int    // signals whose actions the library had replaced, and which were put back
	Warnings []string // for the user, one sentence each; often empty
}

// calm is how long a rank of MPICH keeps quiet before MPI_Finalize. Over UCX and TCP, Finalize closes the connections and
// then waits in a barrier that moves no data; ranks that come straight from their last messages hang there, without an end,
// about every second time (MPICH 4.0.2, UCX 1.13, a C program of 15 lines too). Polling instead does not help.
const calm = 20 * time.Millisecond

// states of the one MPI in this process.
const (
	idle int32 = iota
	running
	finalized
)

var runtimeState struct {
	state  atomic.Int32
	serial atomic.Bool // the library allows one call at a time
	turn   sync.Mutex  // whose turn it is then
	lost   atomic.Bool
	stuck  atomic.Bool // Finalize was given up

	// gate is held for reading during every call, and for writing during those that the library gets wrong while others
	// are under way in this process; see enterAlone.
	gate sync.RWMutex

	mu     sync.Mutex // guards what follows, and Init and Finalize against each other
	env    *Environment
	finish chan chan error
}

// linked tells that the library was in the process before one was looked for: the program is linked with it, or LD_PRELOAD names it.
var linked bool

// enter begins a call into MPI; leave ends it. Between the two the process is in one call at most where the library
// allows no more.
func enter() error {
	switch runtimeState.state.Load() {
	case running:
	case finalized:
		return ErrFinalized
	default:
		if !Built {
			return ErrNotBuilt
		}
		return ErrNotStarted
	}
	runtimeState.gate.RLock()
	if runtimeState.serial.Load() {
		runtimeState.turn.Lock()
	}
	return nil
}

func leave() {
	if runtimeState.serial.Load() {
		runtimeState.turn.Unlock()
	}
	runtimeState.gate.RUnlock()
}

// aloneLimit is for how long a call may keep the others waiting. One that takes longer hangs, and they must not.
const aloneLimit = 20 * time.Second

// alone turns what enter began into a call that no other runs beside, until release is called, instead of leave. Open MPI
// 4.1.4 crashes now and then in MPI_Comm_spawn, and hangs in MPI_Comm_disconnect, while another thread makes progress.
func alone() (release func()) {
	leave()
	runtimeState.gate.Lock()
	unlock := sync.OnceFunc(runtimeState.gate.Unlock)
	limit := time.AfterFunc(aloneLimit, unlock)
	return func() {
		limit.Stop()
		unlock()
	}
}

// Init initialises MPI on a goroutine of its own and returns what it found. It blocks until every process of the job has
// called it. A second call returns the first one's Environment; MPI that somebody else initialised is adopted. It
// refuses, with a *LauncherError, a world whose size is not what the launcher promised.
func Init(o Options) (*Environment, error) {
	if !Built {
		return nil, ErrNotBuilt
	}
	r := &runtimeState
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state.Load() {
	case running:
		return r.env, nil
	case finalized:
		return nil, ErrFinalized
	}
	if o.Level < Single || o.Level > Multiple {
		o.Level = Multiple
	}
	wantSignals()
	started := make(chan outcome)
	finish := make(chan chan error)
	go holdThread(o, started, finish)
	out := <-started
	if out.err != nil {
		return nil, out.err
	}
	r.env = out.env
	if !out.env.Adopted {
		r.finish = finish
	}
	r.serial.Store(out.env.Level < Multiple)
	r.state.Store(running)
	return r.env, nil
}

// outcome is what Init returns.
type outcome struct {
	env *Environment
	err error
}

// holdThread initialises MPI, and ends it when it is told to: both libraries want that on the same thread. Its name is
// documented at futures.TestMain, for those who look for goroutines that are left.
func holdThread(o Options, started chan<- outcome, finish <-chan chan error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	env, err := start(o)
	started <- outcome{env, err}
	if err == nil && !env.Adopted {
		reply := <-finish
		if env.Family == MPICH {
			time.Sleep(calm)
		}
		reply <- failure("MPI_Finalize", rawFinalize())
	}
}

// advicePause is how long the other ranks leave the first one to give advice. The end of any of them in MPI_Init may end the job.
const advicePause = 200 * time.Millisecond

// start is Init on its own thread.
func start(o Options) (*Environment, error) {
	how, err := rawLoad()
	if err != nil {
		return nil, err
	}
	env := &Environment{Family: Family(rawFamily()), Chosen: how, Launcher: FindLauncher(os.LookupEnv)}
	env.Library = named(rawLibrary())
	on, off, code := rawState()
	if err := failure("MPI_Initialized", code); err != nil {
		return nil, err
	}
	if off {
		return nil, ErrFinalized
	}
	var level int
	if on {
		env.Adopted = true
		level, code = rawQueryLevel()
	} else {
		if advice := LauncherAdvice(os.LookupEnv, env.Family, rawLibrary()); advice != "" && !o.AnyLauncher {
			if env.Launcher.Rank <= 0 { // one rank for all
				fmt.Fprintln(os.Stderr, "rankpool:", advice)
			} else {
				time.Sleep(advicePause)
			}
		}
		level, env.Restored, code = rawInit(int(o.Level) - 1)
	}
	if err := failure("MPI_Init_thread", code); err != nil {
		return nil, err
	}
	env.Level = ThreadLevel(level + 1)
	if err := env.settle(o); err != nil {
		if !env.Adopted {
			err = errors.Join(err, failure("MPI_Finalize", rawFinalize()))
			runtimeState.state.Store(finalized)
		}
		return nil, err
	}
	return env, nil
}

// settle makes errors return, checks the world against the launcher and collects the warnings.
func (env *Environment) settle(o Options) error {
	for _, h := range []uintptr{rawWorld(), rawSelf()} {
		if err := failure("MPI_Comm_set_errhandler", rawErrorsReturn(h)); err != nil {
			return err
		}
	}
	d, code := rawDescribe(rawWorld())
	if err := failure("MPI_Comm_size", code); err != nil {
		return err
	}
	if !o.AnyLauncher {
		if err := CheckLauncher(os.LookupEnv, env.Family, d.size); err != nil {
			return err
		}
	}
	if err := rawConfirm(); err != nil {
		return err
	}
	env.Host = rawProcessor()
	if env.Level < Serialized {
		env.Warnings = append(env.Warnings, fmt.Sprintf("%s gave %s: calls are serialised, but they come from several "+
			"threads, which this level forbids; use a build of the library with MPI_THREAD_MULTIPLE", env.Library, env.Level))
	}
	if w := FindBinding().Warning(env.Family); w != "" {
		env.Warnings = append(env.Warnings, w)
	}
	return nil
}

// Chosen tells how the library was chosen, see [Environment]; it is empty before Init.
func Chosen() string {
	runtimeState.mu.Lock()
	defer runtimeState.mu.Unlock()
	if runtimeState.env == nil {
		return ""
	}
	return runtimeState.env.Chosen
}

// Library names the library and its version, as ranks of one job must agree on: without where and when it was built. It is empty
// where MPI does not run.
func Library() string {
	runtimeState.mu.Lock()
	defer runtimeState.mu.Unlock()
	if runtimeState.env == nil {
		return ""
	}
	name, _, _ := strings.Cut(runtimeState.env.Library, ",")
	return strings.Join(strings.Fields(name), " ")
}

// Started tells whether Init was called with success and Finalize was not.
func Started() bool { return runtimeState.state.Load() == running }

// MarkLost notes that a process of the job is gone. Finalize refuses from then on: MPICH would end the survivors, Open
// MPI would wait without end.
func MarkLost() { runtimeState.lost.Store(true) }

// Lost tells whether MarkLost was called.
func Lost() bool { return runtimeState.lost.Load() }

// Finalize ends MPI, on the goroutine that began it. It blocks until every process of the job has called it, or until
// ctx ends; MPI stays unusable then. No other call may be under way. It does nothing where Init adopted a running MPI,
// and returns an error that matches ErrLost after MarkLost.
func Finalize(ctx context.Context) error {
	if !Built {
		return ErrNotBuilt
	}
	r := &runtimeState
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state.Load() {
	case idle:
		return ErrNotStarted
	case finalized:
		return ErrFinalized
	}
	if r.lost.Load() {
		return fmt.Errorf("mpi: Finalize refused, because it would hang or end the other ranks: %w; end with Abort", ErrLost)
	}
	r.state.Store(finalized)
	if r.env.Adopted {
		return nil
	}
	reply := make(chan error, 1)
	r.finish <- reply
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		r.stuck.Store(true)
		return fmt.Errorf("mpi: MPI_Finalize still waits for other ranks: %w", context.Cause(ctx))
	}
}

// UniverseSize returns how many processes the launcher has room for in all, and whether it says so.
func UniverseSize() (n int, known bool, err error) { return attribute(true) }

// AppNumber returns the number of the program among those one mpiexec or spawn started, and whether there is one.
func AppNumber() (n int, known bool, err error) { return attribute(false) }

func attribute(universe bool) (int, bool, error) {
	if err := enter(); err != nil {
		return 0, false, err
	}
	defer leave()
	if universe && Family(rawFamily()) == MPICH && !managed(os.LookupEnv) {
		return 0, false, nil // it would start an mpiexec to ask and, if that is another MPI's, wait without an end
	}
	n, ok, code := rawAttribute(universe)
	return n, ok, failure("MPI_Comm_get_attr", code)
}

// ProcessorName returns the name MPI gives this host.
func ProcessorName() (string, error) {
	if err := enter(); err != nil {
		return "", err
	}
	defer leave()
	return rawProcessor(), nil
}

// Abort ends every process of the job with the given status, the spawned ones included as far as the library reaches
// them. It returns only if that failed. It needs no turn: it must work while another call hangs.
func Abort(status int) error {
	switch runtimeState.state.Load() {
	case running:
		return failure("MPI_Abort", rawAbort(rawWorld(), status))
	case finalized:
		if runtimeState.stuck.Load() {
			return failure("MPI_Abort", rawAbort(rawWorld(), status))
		}
		return ErrFinalized
	}
	if !Built {
		return ErrNotBuilt
	}
	return ErrNotStarted
}
