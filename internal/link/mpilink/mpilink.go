// Package mpilink is a group whose workers are ranks of an MPI job.
//
// The ranks are either there from the start (world mode: a Hub over a duplicate of the world, shared by every executor) or
// spawned for one group (Spawned: a Hub over the intercommunicator). Either way one Hub, in the master, and one Serve, in
// each other rank, own the communicator and move the frames of any number of workers: a rank runs one worker for each
// group that has started one there.
//
// # Messages
//
// A frame without segments whose stream is short is one head. Otherwise a head says how long the parts are, and every
// part follows as a message of its own, received straight into the memory it is to stay in. Heads have one tag and parts
// another; MPI keeps the order within each, so the parts need no names. The heads that are queued for a rank between two polls,
// of whatever workers, share a message.
//
// # Polling
//
// MPI wakes nobody, so somebody has to look. In the master it is one goroutine, which looks only while a group attends to
// its workers (link.Attender) or something is on its way, spins briefly and then sleeps for up to the back-off. In the
// other ranks it is the goroutine that waits: the one that receives a task found it itself.
//
// It compiles without MPI, and then every call ends in mpi.ErrNotBuilt.
package mpilink

import (
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// DefaultBackoff bounds how long the goroutine that polls sleeps between looks.
const DefaultBackoff = time.Millisecond

// NoBackoff is the Backoff with which nobody sleeps between looks.
const NoBackoff = time.Nanosecond

// DefaultLiveness is how long a worker may be silent.
const DefaultLiveness = time.Minute

// Options are the choices of a Hub and of Serve. The zero value is right.
type Options struct {
	// Stage moves large segments through memory that is not Go's; see mpi.PortOptions.
	Stage bool

	// Notes are what a rank has to tell the user; Serve sends them.
	Notes []string

	// Noted is called in the master with each note of a rank, while some group attends to its workers. It must not block.
	Noted func(rank int, note string)

	gone <-chan struct{} // closed when the master is lost, for Serve; nil where nobody can tell
}

// Tags of the communicator. A message of the first is one head or several, of whatever workers, one behind the other.
const (
	headTag = 1
	partTag = 2
)

// The tail of a head says what it is, of which worker, and how long what is before the tail.
const (
	kindFrame        = 'f' // the stream
	kindParts        = 'F' // the stream or nothing, lengths of segments, length of the stream if it is a part, number of lengths
	kindLength       = 'D' // lengths of further segments, which come before those of the next kindParts; their number
	kindStart        = 's' // from the master: slot, back-off in nanoseconds
	kindFinish       = 'q' // from the master: nothing comes after this
	kindCut          = 'k' // from the master: end at once
	kindBye          = 'b' // from the master: the end has come; from a rank: it knows
	kindLeave        = 'l' // from the master: every rank knows, so that all can leave MPI together; or withoutMPI
	kindMaster       = 'm' // from the master: which process it is
	kindSelf         = 'p' // from a rank: which process it is
	kindBeat         = 'v' // from the master: it is there; how long it may say nothing, in nanoseconds
	kindWatch        = 'w' // from the master: tell when the process of another rank ends; its rank, which process it is
	kindProcessEnded = 'x' // from a rank: a process that it was to watch has ended; its rank
	kindNote         = 'n' // from a rank: text for the user
	kindEnded        = 'e' // from a rank: the worker has ended; empty, or why
)

// withoutMPI is the content of kindLeave when a rank was lost: end the process, and do not finalize MPI.
const withoutMPI = 'x'

// longest is how long a message of heads is at most. Its receives wait for any rank, in order. A longer message could occupy one of them
// until its sender has delivered the rest, and for good when the sender dies before that; every other rank's messages would wait
// behind it. What is longer goes as a part, whose receive names its rank and ends with it.
const longest = mpi.Eager

const (
	ahead      = 16  // receives of messages of heads that wait
	lengths    = 256 // so many lengths in one head
	lengthSize = 8
)

// sequence counts the heads that one side sends to the other, or has had of it. MPI keeps them in order and loses none; that it did is
// looked at all the same, because what a head says has a meaning only behind those before it.
type sequence struct{ last map[int]uint32 } // by peer

// next returns the number of the next head.
func (s *sequence) next(peer int) uint32 {
	if s.last == nil {
		s.last = map[int]uint32{}
	}
	s.last[peer]++
	return s.last[peer]
}

// check compares the number of a head that has come with the one that is due.
func (s *sequence) check(peer int, number uint32) error {
	if due := s.next(peer); number != due {
		return fmt.Errorf("%w: message %d came where %d was due: the MPI library has lost a message or changed their order", errHead, number, due)
	}
	return nil
}

// How long the goroutine that polls spins, in one crossing into C and in all since something last happened; and how long while parts
// are on their way, which need attention to get on.
const (
	spinOnce   = 20 * time.Microsecond
	glance     = time.Nanosecond // a few looks
	spinTotal  = 200 * time.Microsecond
	spinBrief  = 20 * time.Microsecond
	spinParts  = 20 * time.Millisecond
	shortNap   = 20 * time.Microsecond
	napShare   = 8   // a nap is this part of the silence before it
	briefShare = 16  // or this one, where others want the core: all workers wait for the master
	pollRoom   = 128 // events of one poll
)

// patience says what to do when a poll brought nothing.
type patience struct {
	since time.Time // when something last happened
	tired bool      // it has spun enough
	brief bool      // it has others to leave the core to

	napping bool // the last pause was a nap
}

func (p *patience) reset() { *p = patience{brief: p.brief} }

// tire makes the next pause a nap.
func (p *patience) tire() { *p = patience{brief: p.brief, since: time.Now(), tired: true} }

// spin is for how long the next poll is to look.
func (p *patience) spin() time.Duration {
	if p.napping {
		return glance
	}
	return spinOnce
}

// pause returns for how long to sleep before the next poll; 0 means not at all. A nap is a fraction of the time in which
// nothing has come, so what comes in the end has waited for a small part of that.
func (p *patience) pause(parts bool, limit time.Duration) time.Duration {
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	budget := spinTotal
	switch {
	case parts:
		budget = spinParts
	case p.brief:
		budget = spinBrief
	}
	quiet := now.Sub(p.since)
	if p.napping = quiet >= budget || p.tired; !p.napping {
		return 0
	}
	share := time.Duration(napShare)
	if p.brief {
		share = briefShare
	}
	return min(max(quiet/share, shortNap), limit)
}

// newPort opens the port of a communicator.
func newPort(c *mpi.Comm, o Options) (*mpi.Port, error) {
	return mpi.NewPort(c, mpi.PortOptions{Tag: headTag, Posted: ahead, Longest: longest, Events: pollRoom, Stage: o.Stage})
}
