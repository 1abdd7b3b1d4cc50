package dispatch

import (
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/trace"
)

// Config is what a Master is made of. Zero durations mean the defaults.
type Config struct {
	Group link.Group
	Log   *slog.Logger // nil: nothing is logged. Its handler must not block: see package lane

	// Setup is sent to every worker before its first task, and SetupSegments with it, unless they come by another way: then there are
	// none, and SetupLoad is their size.
	Setup         []byte
	SetupSegments [][]byte
	SetupLoad     uint64

	// Check compares a worker's fingerprint with the master's; an error breaks the pool.
	Check func(w int, h Hello) error

	// Name names a function for errors and reports.
	Name func(fn uint32) string

	// DecodeError turns the encoded error of a unit into what its Sink is given.
	DecodeError func(b []byte, fn uint32, w int, h Hello) error

	// DecodeSetupError does the same for a setup that failed.
	DecodeSetupError func(b []byte, w int, h Hello) error

	// DecodeLeaveError does the same for what a worker met while it left.
	DecodeLeaveError func(b []byte, what string, w int, h Hello) error

	// Of is what the Site of a Record is to say that its worker works for.
	Of any

	// Aside runs functions that may call code of the user's: decoders of errors and of results. It must not block; the functions
	// run one after another in the order of the calls. Nil: each runs on a goroutine of its own.
	Aside func(f func())

	// Slots is how many workers the group will have; 0: that is not known before it is open.
	Slots int

	// Home is that of the workers' Service. The group must take a Start of slots beyond those that Open has told of. Nil: slots
	// are not lent.
	Home *Home

	// Stuck is called, on a goroutine of its own, when tasks wait for a worker that was lost and nothing can wake them (see
	// Peers.Native). Nil: nothing is done about it.
	Stuck func(err error)

	// MaxTasks is how many units one worker is handed before another takes its place; 0 is any number. The group must
	// replace workers.
	MaxTasks int

	// Trace is what is told of what happens, for a recording and hooks; nil: there is neither.
	Trace *trace.Pool

	Start    time.Duration // until a worker is ready, its setup included, and before that until the group is open; default 30 s
	Patient  bool          // the group opens as soon as it can: that has no limit
	Liveness time.Duration // how long a worker may be silent while it has work; default 60 s
	Stop     time.Duration // how long workers may take to leave after the last task, not counting a moment for saying what hangs; default 10 s
}

// Defaults of Config.
const (
	DefaultStart    = 30 * time.Second
	DefaultLiveness = 60 * time.Second
	DefaultStop     = 10 * time.Second
)

// State is where a Master is in its life: see docs/states.md.
type State int

// The states of a Master, in the order in which they can follow.
const (
	Fresh    State = iota // nothing started
	Starting              // workers are coming up
	Serving               // tasks run
	Stopping              // no new tasks; what is queued runs
	Broken                // failed; every task was given the reason
	Closed                // workers have left
)

// BrokenError says why a pool cannot run tasks any more, or why one task was lost with its worker. Package futures declares it for
// users, with the same fields.
type BrokenError struct {
	Worker  int
	Workers int
	Host    string
	Pid     int
	Rank    int
	Thread  bool
	Task    string
	Cause   error
}

// Master schedules jobs on the workers of one link.Group. Its methods may be called together from any goroutine.
type Master struct {
	cfg   Config
	kind  link.Traits
	group link.Group

	mu        sync.Mutex
	state     State
	err       error // why Broken
	queue     queue
	blocked   map[*Job]struct{} // see Expect
	workers   []*worker
	processes []process // of several workers each; nil where each worker has its own
	spare     lists     // of workers' pieces
	idle      []int     // slots, first in first out
	ready     int       // workers that are idle or busy
	waiting   int       // workers still to come before the first task may go out
	unheard   int       // workers that have not said hello yet since the start, where they may be on several hosts
	flying    int       // units handed out and not answered
	gone      int       // of these, how many were given up: nobody waits for them
	funcs     []funcTimes
	stats     Stats
	watch     watchdog
	holding   holding

	lastLosses []Loss // of workers, as many as Look tells of

	losses int    // of running tasks, in a row: see lossesInARow
	reign  uint64 // counts these; a worker that was there before the last is of an earlier one

	lending lending
	again   repetitions
	trace   *tracer // nil: nothing is recorded
	gangs   uint64  // how many have begun
	serials uint64  // of what workers of a gang have in common, see common
	shrunk  bool    // workers were lost since it was looked at whether there are enough for the gangs that wait
	fillers int     // workers that were free for a gang that waits, and run something short meanwhile
	breaks  bool    // what workers have in common can be made to fail, see link.Breaker
	talking int     // workers whose task has asked for the others
	asking  int     // of these, how many are in no gang

	delivering int           // deliveries under way that the group does not wait for
	delivered  chan struct{} // closed when there are none; nil while nobody waits for that

	addressed addressees // since the lock was taken
	remarks   []remark   // likewise: what is to be logged
	storms    storms

	mover     link.Mover    // the group, if it can tell
	recaller  link.Recaller // the group, if it shares memory with its workers
	attender  link.Attender // the group, if it wants to know when it has to look
	attending atomic.Bool   // frames may come; written under mu
	telling   sync.Mutex    // guards told, and orders the calls of attender
	told      bool

	load    uint64    // the size of the set-up
	begun   time.Time // when the Master was made
	unknown *Hello    // of workers that have not said hello
	hosts   map[string]string

	booted   chan struct{} // closed when the first set of workers is ready, or failed, or was given up
	isBooted bool
	closed   chan struct{} // closed when every worker has left
	badEnds  ends          // exit statuses of workers that were told to leave
	failures ends          // what these met while they left
	leaving  bool          // leave has been called
	dropping error         // why what is queued, or comes back, will not run; nil while it will
}

// New returns a Master that has started nothing.
func New(cfg Config) *Master {
	if cfg.Start <= 0 {
		cfg.Start = DefaultStart
	}
	if cfg.Liveness <= 0 {
		cfg.Liveness = DefaultLiveness
	}
	if cfg.Stop <= 0 {
		cfg.Stop = DefaultStop
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Aside == nil {
		cfg.Aside = func(f func()) { go f() }
	}
	if cfg.Name == nil {
		cfg.Name = func(uint32) string { return "task" }
	}
	attender, _ := cfg.Group.(link.Attender)
	mover, _ := cfg.Group.(link.Mover)
	recaller, _ := cfg.Group.(link.Recaller)
	m := &Master{
		mover: mover, recaller: recaller, attender: attender, told: true,
		cfg: cfg, group: cfg.Group, kind: cfg.Group.Traits(),
		load: cfg.setupSize(), begun: time.Now(), unknown: new(Hello), booted: make(chan struct{}), closed: make(chan struct{}),
	}
	m.queue.cost = m.turnCost
	m.holding.processors, m.holding.epoch = runtime.GOMAXPROCS(0), 1
	m.attending.Store(true)
	m.trace = newTracer(m, cfg.Trace)
	if cfg.Home != nil {
		cfg.Home.master.Store(m)
	}
	return m
}

// Refusals of Submit, Boot and Size.
var (
	ErrStopping = errors.New("dispatch: shut down")
	errNoSlots  = errors.New("the group has no workers")
)

// Submit queues a job, starting the workers if nothing did before. It does not block. A refusal (ErrStopping, the *BrokenError, or
// a *TooFewError if that is known) leaves the job untouched and its Sink unheard.
func (m *Master) Submit(j *Job) error {
	m.mu.Lock()
	if err := m.refusal(); err != nil {
		m.unlock()
		return err
	}
	if err := m.enough(j); err != nil {
		m.unlock()
		return err
	}
	m.bootLocked()
	m.stats.Submitted += uint64(j.Units)
	m.trace.queued(j)
	if j.is(withdrawn) { // in the meantime
		m.stats.Cancelled += uint64(j.Units)
		m.trace.cancelled(j, j.Units)
		m.unlock()
		return nil
	}
	m.queue.push(j)
	m.handOut()
	m.unlock()
	return nil
}

// Refusal is why Submit would refuse a job now; nil when it would not.
func (m *Master) Refusal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusal()
}

func (m *Master) refusal() error {
	switch m.state {
	case Broken:
		return m.err
	case Stopping, Closed:
		if m.err != nil {
			return m.err
		}
		return ErrStopping
	}
	return nil
}

// Cancelled tells that the sink of a queued job of one unit was cancelled: the job's memory is released.
func (m *Master) Cancelled(j *Job) {
	m.mu.Lock()
	if !j.is(dropped) { // else its sink is being told, and releases it
		m.stats.Cancelled++
		m.trace.cancelled(j, 1)
		j.Release()
	}
	j.marks |= withdrawn
	if m.unblock(j) || len(m.again.endPauses(j)) > 0 { // a shutdown may be waiting for it
		m.settleState()
	}
	if j.more().Gang { // the queue may have been waiting for it
		m.handOut()
		m.settleState()
	}
	m.unlock()
}

// Withdraw takes back the units of jobs that wait, and ends the contexts of those that run. Their sinks hear no more of
// the former; they are still told the results of the latter. It returns how many units were taken back.
func (m *Master) Withdraw(jobs ...*Job) (n int) {
	m.mu.Lock()
	defer m.unlock()
	gang := false
	for _, j := range jobs {
		n += m.withdraw(j)
		j.marks |= withdrawing
		gang = gang || j.more().Gang
	}
	m.interrupt(func(p *piece) bool { return p.job.is(withdrawing) }, 0)
	for _, j := range jobs {
		j.marks &^= withdrawing
	}
	if gang {
		m.handOut()
	}
	m.settleState()
	return n
}

// withdraw takes back the units of a job that wait.
func (m *Master) withdraw(j *Job) (n int) {
	if j.is(withdrawn) {
		return 0
	}
	n = j.waiting()
	for _, p := range m.queue.front {
		if p.job == j {
			n += p.n
		}
	}
	n += len(m.again.endPauses(j))
	if j.more().Gang && slices.ContainsFunc(m.queue.gangs, func(b band) bool { return b.job == j }) {
		n++
	}
	j.marks |= withdrawn
	j.Release()       // what runs has its own; the job itself leaves the queue when it comes to the head of its flow
	if j.is(queued) { // else it may be refused, and never have been there
		m.stats.Cancelled += uint64(n)
		m.queue.trim(j)
		m.trace.cancelled(j, n)
	}
	return n
}

// InterruptJob ends the contexts of a job's units that run, and tells whether there are any. A unit that has not begun and comes
// back is dropped with ErrInterrupted; one that waits is not touched.
func (m *Master) InterruptJob(j *Job) (runs bool) {
	m.mu.Lock()
	defer m.unlock()
	j.marks |= interrupted
	m.interrupt(func(p *piece) bool {
		mine := p.job == j && !p.gone
		runs = runs || mine
		return mine
	}, 0)
	return runs
}

// Interrupt ends the contexts of every task that is running. One that goes on for longer than grace then is ended with its worker,
// or given up where that cannot be; a grace of 0 leaves that to the jobs' own.
func (m *Master) Interrupt(grace time.Duration) {
	m.mu.Lock()
	m.interrupt(func(*piece) bool { return true }, grace)
	m.unlock()
}

func (m *Master) interrupt(which func(*piece) bool, grace time.Duration) {
	for _, w := range m.workers {
		if w.state != busy {
			continue
		}
		for i := w.head; i < len(w.out); i++ {
			if p := &w.out[i]; which(p) {
				m.endContexts(w, p, grace)
			}
		}
	}
}

// State returns where the master is, and the error that broke it.
func (m *Master) State() (State, error) {
	m.mu.Lock()
	defer m.unlock()
	return m.state, m.err
}

// Size returns how many workers there are: 0 before they have started, after any shutdown and when broken.
func (m *Master) Size() int {
	m.mu.Lock()
	defer m.unlock()
	if m.state != Serving {
		return 0
	}
	n := 0
	for _, w := range m.workers[:m.lending.size] {
		if !w.givenUp() {
			n++
		}
	}
	return n
}
