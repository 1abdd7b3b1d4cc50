// Package link is the seam between the scheduler and the workers it schedules on.
//
// A Group is the master's end: a fixed number of slots, each of which holds at most one worker at a time. An
// Endpoint is the worker's end. Frames travel between the two, in order and whole. Nothing here knows what a frame
// means; package dispatch does. Nothing here knows how a frame travels either; the sub-packages do: loopback (the
// same process), proc (child processes on this machine), mpilink (the ranks of an MPI job).
package link

import (
	"context"
	"errors"
	"fmt"
)

// Frame is one message: a small in-band stream and the large buffers that travel beside it, untouched.
//
// Whoever sends a frame gives its Stream away: the link may hand it to PutBuffer once it has left. Segments alias the
// sender's memory and are only read. Whoever receives a frame owns all of it: the Stream may be given to PutBuffer
// when it has been read, the Segments are fresh allocations, aligned for any pointer-free element type.
type Frame struct {
	Stream   []byte
	Segments [][]byte

	// Mark is what an endpoint with a journal marks while it takes this frame in, and a Loss then tells: see Journal.Receiving. 0 is
	// nothing. Whoever receives the frame need not be given it.
	Mark uint64

	// Local travels by reference, so only within a process. A group that leaves the process refuses a frame that
	// carries it (it fails the worker with an error: a frame is never dropped in silence).
	Local any
}

// Handler is the master's scheduler as a Group sees it.
//
// The calls about one slot come one at a time and in order; calls about different slots may run together. A Group
// never holds a lock during a call that its own Send, Start or Kill takes, so a handler may call them.
type Handler interface {
	// Receive delivers the next frame of the worker in slot w.
	Receive(w int, f Frame)

	// Lost reports that the worker in slot w has ended, for whatever reason, and exactly once per Start. Every frame
	// that had reached this process before is delivered first; none of that worker's comes later.
	Lost(w int, l Loss)
}

// Group is the master's end of a set of workers.
//
// Its methods may be called together from any goroutine. None blocks, but for Open and Close.
type Group interface {
	// Open makes the slots and returns how many there are: at most as many as were asked for, and at least one when the
	// error is nil. It blocks until that number is known, or until ctx ends.
	Open(ctx context.Context, h Handler) (slots int, err error)

	// Start brings up a worker in an empty slot. Its first frame, or Lost, says how that went.
	Start(w int)

	// Send queues a frame for the worker in slot w and returns at once, whatever the worker does. Frames arrive in the
	// order of the Sends. What cannot be delivered ends in Lost, which the worker's fate will bring anyway.
	Send(w int, f Frame)

	// Kill ends the worker in slot w at once, whatever it does, and makes cause the Err of the Loss that follows. Where
	// the group has no such means (a goroutine cannot be ended) the slot is cut off instead: Lost follows all the same
	// and the abandoned worker's frames are discarded.
	Kill(w int, cause error)

	// Close ends every worker still there and releases everything. It blocks until they are gone, or until ctx ends;
	// then it returns an error that says which are left. A second call is harmless.
	Close(ctx context.Context) error

	// Traits describes the group. It may be called before Open.
	Traits() Traits
}

// Attender is a Group that is not woken by what its workers send and has to look for it.
type Attender interface {
	// Attend says whether any worker has something to say: one that starts, runs tasks or leaves. While none has, the
	// group need not look. It starts with true. Attend does not block, and may be called under the scheduler's lock.
	Attend(on bool)
}

// Helper is a Group that goroutines which wait for a result can look after, in the place of its own: that saves two changes of thread.
type Helper interface {
	// Help delivers what workers send, from the caller's goroutine and whoever it is for, until done returns true or nothing has come
	// for a while. It returns at once when there is nothing to look at: before Open, after Close, or while somebody else helps. So it
	// may end early, and its caller goes on waiting. done is called often, in the same goroutine, and does not block. Calls may run
	// together.
	Help(done func() bool)
}

// Recaller is a Group whose workers' recalls are in memory that it shares with them.
type Recaller interface {
	// Recall marks that n tasks of the worker in slot w are not to begin any more, from number first on: see Journal.Recall. It is a
	// store into memory: it does not block, and may be called under the scheduler's lock.
	Recall(w int, first, n uint64)
}

// Mover is a Group that can tell whether a frame is on its way.
type Mover interface {
	// Moved returns a number that changes whenever bytes of a frame to or from the worker in slot w have moved: not only when a frame
	// is there. It is called without a lock, and does not block.
	Moved(w int) uint64
}

// Traits is what a scheduler must know about a kind of group.
type Traits struct {
	Kind      string // "threads", "processes", "mpi", "loopback": the word users see
	Replaces  bool   // an empty slot can be started again
	Kills     bool   // Kill really ends the worker
	SharesMem bool   // workers live in this process: Local frames travel, working directory and environment are shared
	Spread    bool   // workers may be on several hosts; then none is replaced

	// Slots is how many workers a process has, those of adjoining numbers; 0 and 1 mean that each has its own. Where Kill ends workers
	// they are started, killed and lost together; else each by itself.
	Slots int
}

// Loss says how a worker ended and what it left behind.
type Loss struct {
	// Err is the cause in words for a user: "killed by signal 9 (killed)", "exit status 3". It is nil when the worker
	// closed its Endpoint and ended with success.
	Err error

	// Proof tells that the journal outlived the worker; then the other fields are set.
	Proof    bool
	Salvage  []byte // what was in the journal and not yet sent, a copy
	Finished uint64 // the last Finished mark
	Picked   uint64 // the last Picked mark
	Over     int    // how many elements are over of the task after Finished
	Results  []byte // results of the last of them, which are nowhere else; a copy

	// Receiving is the Mark of the frame that the worker took in when it ended, if that may be large; else 0.
	Receiving uint64

	// Each is what the further journals of the worker have, where it is a Journals: all that is above but Err and Receiving.
	Each []Loss
}

// Endpoint is a worker's end.
type Endpoint interface {
	// Recv blocks until the master's next frame and returns it. It returns io.EOF once the master is gone or has cut
	// this worker off. One call at a time.
	Recv() (Frame, error)

	// Send hands a frame to the master and returns when it has left (the Stream may be reused then only through
	// PutBuffer, see Frame). It may block while the master is slow. Calls may run together; each frame stays whole.
	Send(f Frame) error

	// Journal is where results are written before they are sent, so that they outlive this worker where memory can.
	Journal() *Journal

	// Close says that this worker ends on purpose. Frames already sent still arrive.
	Close() error
}

// Journals is an Endpoint with several journals, for a worker that is several to the scheduler.
type Journals interface {
	// Journals returns all of them. The first is the Endpoint's Journal.
	Journals() []*Journal
}

// SlotRecaller is a Recaller whose workers are Journals.
type SlotRecaller interface {
	// RecallSlot is Recall for one of the worker's journals.
	RecallSlot(w, slot int, first, n uint64)
}

// Sibling is an Endpoint of one of several workers that its group has in one process, each with an Endpoint of its own.
type Sibling interface {
	// Siblings returns how many these are, 1 if the worker is alone, and what they have in common, which compares unequal to that of
	// others.
	Siblings() (of any, n int)
}

// Native is an Endpoint whose group has something of its own for its workers to talk to each other by.
type Native interface {
	// Native returns that of the workers in these slots, and numbers them in this order. These workers, and no others, make it together at
	// their first call, which blocks until then. With the serial 0 later calls return the same as long as the slots are the same, and it is
	// gone when the worker ends. Every other serial is of one that has not been there before in the group, and each of its workers calls
	// Native once for it; it is there until FreeNative.
	Native(serial uint64, slots []int) (any, error)

	// FreeNative ends what Native has made, or will make by a call that is under way or still to come, for a serial other than 0. It does not
	// wait for other workers. If this worker may not have received all that was sent to it there, nothing that is made later may meet
	// these messages.
	FreeNative(serial uint64, received bool)

	// BreakNative has the calls on what Native has made for a serial fail, those that wait too, on all its workers. It is for the loss of one
	// of them, where the group is a Breaker. It waits for no other worker.
	BreakNative(serial uint64)
}

// Breaker is a Group whose workers may be able to break what Native gives them.
type Breaker interface {
	// Breaks tells whether they can. It is called after Open.
	Breaks() bool
}

// Settler is an Endpoint that is told when its worker has been set up: what the process may do can be less since then, for
// its user may be another.
type Settler interface {
	// Settled is called once, before the worker says that it is ready.
	Settled()
}

// Noticer is an Endpoint that can tell of a frame for which no goroutine is in Recv. A worker whose endpoint is none has a goroutine
// receive after a while, whether there is anything or not.
type Noticer interface {
	// Notice has f called whenever a frame has come, with its Mark, or the end of the frames, with 0, while no goroutine waits in Recv. It
	// is called on the sender's goroutine, which holds no lock of the endpoint, and does not block. Notice is called before the first Recv.
	Notice(f func(mark uint64))

	// Waiting tells whether Recv would return at once.
	Waiting() bool
}

// Heir is an Endpoint whose group may have given its process, when it started, the segments of its set-up.
type Heir interface {
	// Inherit returns these segments, none if there are none. Copied says why they are a copy of the process's own, where they would be
	// shared with others of the host otherwise. They are never given back. Calls return the same; the first may block while they are copied.
	Inherit() (segments [][]byte, copied, err error)
}

// Programs is an Endpoint that knows which programs a unit has started. Whoever runs the units calls it.
type Programs interface {
	// Begin is called before a unit that has a context of its own, unless since the last call no unit can have started a program.
	Begin()

	// End is called after a unit whose context had ended before it did. It ends what has been started since Begin, and left.
	End()

	// Keep is called before and after something that starts programs for later units too: what is started meanwhile is not
	// the unit's. Calls may run together, and beside the others.
	Keep(on bool)
}

// ErrClosed is the error of an operation on a group that was closed.
var ErrClosed = errors.New("link: group is closed")

// ErrLocal is the cause of a Loss when a frame with a Local value was sent to a worker in another process.
var ErrLocal = errors.New("link: a value that travels by reference cannot leave the process")

// ExitError is the Err of a Loss when a worker's process ended by itself or was killed.
type ExitError struct {
	Pid    int
	Host   string
	Status string // "exit status 3", "signal: killed"
	Signal string // "killed", "segmentation fault"; empty unless a signal ended it
	Code   int    // exit status; -1 unless it exited
	During string // what it was doing, "while it ran a task"; the scheduler knows
	Hint   string // what may have ended it then, if it has ended by itself
	Cause  error  // what Kill was given, or nil
}

// Error names the process, how it ended and when, and where to look when nothing else says why.
func (e *ExitError) Error() string {
	s := fmt.Sprintf("process %d on %s ended: %s", e.Pid, e.Host, e.Status)
	if e.Cause != nil {
		return s + ": " + e.Cause.Error()
	}
	if e.Signal == "killed" {
		s += ", not by its master (the kernel does that when memory runs out, see dmesg, and any program of this user can, a task too)"
	}
	if e.Code == 66 {
		s += " (which is the race detector's when it has found a race)"
	}
	if e.During != "" {
		s += ", " + e.During
	}
	if e.Code > 0 {
		if e.Hint != "" {
			s += "; " + e.Hint
		}
		s += "; its standard error may say why"
	} else if e.Signal != "" && e.Signal != "killed" && e.Signal != "broken pipe" {
		s += "; its standard error may say why"
	}
	return s
}

// Unwrap returns the cause given to Kill.
func (e *ExitError) Unwrap() error { return e.Cause }
