package trace

import "time"

// Kind is what an Event tells.
type Kind uint8

// The kinds.
const (
	NoKind    Kind = iota
	RunBegins      // of a program: the first event, and again when its file was closed in between
	PoolBegins
	PoolEnds
	WorkerIs   // a worker has come to a Phase
	JobQueued  // a job of several units
	UnitsRan   // units were sent to a worker, and have ended
	UnitFailed // the text of a failure
	Cancelled  // units that were queued will not run
	Counted    // the counters of a pool
	ClockKnown // how well a worker's clock is known
	Thinned    // what the recording does not tell one by one
	UnitsBegun // units run on a worker that have not ended: hooks alone are told
)

// Outcome is how units have ended.
type Outcome uint8

// The outcomes.
const (
	Succeeded Outcome = iota
	Failed            // the function returned an error, or panicked
	Lost              // with their worker
	GivenUp           // they ignored the end of their time, on a worker that cannot be killed
)

// String is the word of reports.
func (o Outcome) String() string {
	if o > GivenUp {
		return "unknown"
	}
	return [...]string{"succeeded", "failed", "lost", "given up"}[o]
}

// Phase is where a worker is in its life.
type Phase uint8

// The phases.
const (
	NoPhase  Phase = iota
	Starting       // its slot was told to start it
	Ready          // it can be given tasks
	Leaving        // it was told to leave
	Left           // it has, as it was told to
	Died           // it was lost
)

// String is the word of reports.
func (p Phase) String() string {
	if p > Died {
		return "unknown"
	}
	return [...]string{"", "starting", "ready", "leaving", "left", "lost"}[p]
}

// Event is something that happened. Which fields mean something depends on the kind. Times are since the beginning of the run, by
// the clock of the master: of a worker they were corrected.
type Event struct {
	Kind    Kind
	Outcome Outcome
	Phase   Phase
	Attempt int // which run of the units it was, from 1
	Pool    int // the executor: they are counted in each run from 1
	Worker  int // its slot; -1 for none
	Pid     int // of a worker
	Rank    int // likewise; -1 for none
	At      time.Duration
	Job     uint64 // they are counted in each pool from 1, a map as one; 0 is one that was not noted
	Map     int    // of a job: which map of the pool it is, as its user counts them; 0: not told
	First   int    // the first element, of the job
	Count   int    // elements; of a job 0 if it is not known how many there will be
	Units   int    // what they were sent as: less than Count where there are chunks
	Chunk   int    // of a job: elements per unit

	// Of units. At is when they were sent to the worker.
	Queued   time.Duration // when their job was; of a call of a tiny function, when it was sent
	Begun    time.Duration
	Ended    time.Duration
	Answered time.Duration // when the master heard of it
	Busy     time.Duration // how long they ran together: less than from Begun to Ended if they are some of many
	Longest  time.Duration // how long the longest ran, if Units are not alike; else 0. Job and First are its
	In, Out  int64         // bytes that were sent for them, and that they returned

	Bound time.Duration // how far from the truth a worker's times are at most

	// Func is the function. Of units of a job that was told when it was queued it need not be written: then Listed is set.
	Func   string
	Listed bool

	Host string // of a worker
	Text string // of a failure or a loss; of a pool, what its workers are
	Err  error  // gives Text when the event is written: its method may be code of the user's

	Counters *Counters
	Run      *Run
}

// Counters are what a pool has counted since its beginning, and what there is now.
type Counters struct {
	Submitted, Done, Failed, Cancelled, Retried, Lost, Restarts uint64

	Queued, Running, Workers int
}

// Run describes a program that was started.
type Run struct {
	ID      uint64 // at random: a run that is told of again has the same
	Began   time.Time
	Program string // its path
	Host    string
	Pid     int
	System  string // GOOS/GOARCH
	Go      string
	Version string // of this module
	Cores   int
	Limit   int64 // of the file, in bytes
}
