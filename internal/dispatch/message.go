package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The first byte of a frame's stream says what it is.
const (
	// From the master.
	kindSetup  = 's' // uvarint slot, number of slots, the same among the workers of its host, whether times have the clock, then what a worker needs before its first task
	kindTasks  = 't' // uvarint first number, uvarint epoch, then runs
	kindCancel = 'c' // uvarint number, uvarint n, uvarint: end the contexts of these n units, as far as they have not ended; unless the third is 0, none begins
	kindPing   = 'p' // are you there
	kindStop   = 'q' // uvarint nanoseconds that it may take, uvarint units that were given up: finish and leave
	kindGrant  = 'd' // uvarint as in kindDirect, uvarint its serial, or 0 for that of all workers, string: why the unit that wants what workers have in common must not use it; empty if it may
	kindBreak  = 'x' // uvarint serial or 0: a worker was lost, and what it had in common with others is to fail the units that use it
	kindValues = 'v' // uvarint generation, uvarint n, then n values, each string name, uvarint the generation that has it, or 0 and then uvarint length, uvarint segments, stream
	kindUse    = 'u' // uvarint generation that the units need which follow, or 0 for the values of the set-up
	kindForget = 'f' // uvarint n, then n times uvarint generation: these are not needed any more
	kindGone   = 'g' // uvarint gang or 0, uvarint slot, string: why that worker says no more there; empty if it returned

	// From a worker.
	kindHello    = 'h' // uvarint pid, uvarint GOMAXPROCS, uvarint rank + 1, string host, then the fingerprint
	kindReady    = 'r' // set up; an encoded error follows if that failed
	kindResults  = 'R' // uvarint first number, then entries
	kindHandback = 'b' // uvarint number: that unit and all later ones were not started
	kindPong     = 'P' // I am here
	kindAlone    = 'a' // the function of the unit that runs waits for other tasks
	kindOverdue  = 'o' // uvarint number: that unit ignores the end of its time
	kindLeft     = 'l' // what went wrong while it left, each as string what, uvarint length, encoded error; its last message
	kindDirect   = 'd' // uvarint that counts, uvarint number of the unit, uvarint number of the communicator, or 0 for that of all its peers, and for another its slots, see slots: the unit wants what these have in common beside the master
	kindRetract  = 'w' // uvarint as in kindDirect: it does not any more, unless consent is on its way
	kindMade     = 'D' // uvarint serial or 0: and waits for the others no longer until that is made

	// From a worker to another, by way of the master.
	kindPeer = 'm' // uvarint slot (to the master: of the receiver; from it: of the sender), uvarint gang or 0, uvarint number of the sender's unit, uvarint tag, text
)

// The epoch of a tasks frame is how many hand-backs of that worker the master has seen. A worker ignores frames of an
// earlier epoch than its own: the hand-back covered them.

// A run in a tasks frame: flags, uvarint function, 4 bytes little-endian number of units, then by flag the elements per
// unit, the elements of the last unit, the time-out in nanoseconds, the number of the gang and how often the units have run before, all
// uvarint; then the units as in Job.Data.
const (
	runChunks  = 1 << iota // elements per unit, elements of the last unit
	runTimeout             // time-out
	runBuffers             // units carry a segment count, and samples of their segments
	runLocal               // the units are in the frame's Local value; no bytes follow
	runGang                // number of the gang, and its members: see team
	runIdle                // the frame's first: the worker has answered or handed back all that it was sent before
	runAgain               // how often the units have run before
	runSkip                // how many elements at the beginning of the unit, the only one, are not to be run
)

// An entry in a results frame begins with a uvarint whose low two bits are the tag.
const (
	entryOK      = 0 // value: length of the results, which follow
	entryBuffers = 1 // value: length; uvarint number of segments; the results
	entryPart    = 2 // value: length; uvarint segments, uvarint first element, uvarint elements done, byte kind, uvarint length of the error; results; error
	entryTime    = 3 // value: nanoseconds that the units since the last time entry took together; if the set-up asks for it, uvarint: the worker's clock
)

// What a part says of the elements after those that it has results of.
const (
	partRest = 0 // all the rest of the unit has failed: it ends the unit
	partOne  = 1 // one has failed; more of the unit follows
	partNone = 2 // nothing; more of the unit follows
	partLast = 3 // there are none: it ends the unit
	partVoid = 4 // none has begun, for the unit was recalled: it ends the unit
)

// ResultShift is by how much the length of a successful unit without segments is shifted in its header: see ResultHeader.
const ResultShift = 2

// ErrDropped is what Sink.Drop is given for units that a shutdown cancelled.
var ErrDropped = errors.New("dispatch: cancelled by shutdown")

// ErrInterrupted is what Sink.Drop is given for a unit that came back unstarted after its job was interrupted.
var ErrInterrupted = errors.New("dispatch: interrupted before it began")

// ErrChanged is what a unit fails with when its segments are not what they were when it was submitted.
var ErrChanged = errors.New("its argument was written to before it had left: a large slice is sent from where it is until the future is done, and WithSnapshot has it copied")

var errShort = errors.New("message ends too early")

// uvarint is binary.Uvarint without its error cases, for bytes this process wrote.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}

// ShortResult reads a header of one byte, which most successful units have: how many bytes of results follow it. It is false for any other
// header, which ResultHeader reads. (It is a function of its own because this one is small enough for the compiler to inline.)
func ShortResult(b byte) (length int, ok bool) {
	return int(b >> ResultShift), b < 0x80 && b&3 == entryOK
}

// ResultHeader reads the header of a successful unit in the data that Sink.Results is given: how many bytes of results
// follow it, how many segments they use, and how long the header is. A size of 0 says that the data is damaged.
func ResultHeader(data []byte) (length, segments, size int) {
	v, n := uvarint(data)
	if n <= 0 {
		return 0, 0, 0
	}
	if v&3 == entryBuffers {
		s, m := uvarint(data[n:])
		if m <= 0 {
			return 0, 0, 0
		}
		segments, n = int(s), n+m
	}
	return int(v >> 2), segments, n
}

// reader takes a message apart. The first read past its end sets err; all later ones return zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) uint() uint64 {
	v, n := uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) fixed32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = errShort
	}
}

// sampleSize is the size of a pkl5.Sample.
const sampleSize = 8

// unitHead is what stands in front of a unit's arguments.
type unitHead struct {
	size     uint64 // of the arguments
	segments uint64
	sample   uint64 // of the segments, if there are any
}

func (r *reader) unit(buffers bool) (h unitHead) {
	h.size = r.uint()
	if buffers {
		h.segments = r.uint()
	}
	if h.segments > 0 {
		if b := r.bytes(sampleSize); b != nil {
			h.sample = binary.LittleEndian.Uint64(b)
		}
	}
	return h
}

// units passes over so many units in the form of Job.Data.
func (r *reader) units(n int, buffers bool) {
	b := r.b
	for ; n > 0; n-- {
		if !buffers && len(b) > 0 && b[0] < 0x80 && int(b[0]) < len(b) { // what most are
			b = b[1+int(b[0]):]
			continue
		}
		r.b = b
		r.bytes(r.unit(buffers).size)
		if b = r.b; r.err != nil {
			return
		}
	}
	r.b = b
}

// segments hands out a frame's segments in order.
type segments struct {
	all [][]byte
	err error
}

func (s *segments) take(n uint64) [][]byte {
	if n == 0 {
		return nil
	}
	if n > uint64(len(s.all)) {
		s.err = fmt.Errorf("message names %d buffers, %d came with it", n, len(s.all))
		return nil
	}
	t := s.all[:n:n]
	s.all = s.all[n:]
	return t
}

// run is the head of a run of units in a tasks frame.
type run struct {
	flags   byte
	fn      uint32
	units   uint32
	chunk   int // elements per unit
	last    int // elements of the last unit
	timeout time.Duration
	gang    uint64
	members team
	again   int // how often the units have run before
	skip    int // elements of the one unit that are not to be run
}

// appendRun appends the head of a run and returns where its number of units is to be patched in.
func appendRun(b []byte, h run) ([]byte, int) {
	b = append(b, h.flags)
	b = binary.AppendUvarint(b, uint64(h.fn))
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, h.units)
	if h.flags&runChunks != 0 {
		b = binary.AppendUvarint(b, uint64(h.chunk))
		b = binary.AppendUvarint(b, uint64(h.last))
	}
	if h.flags&runTimeout != 0 {
		b = binary.AppendUvarint(b, uint64(h.timeout))
	}
	if h.flags&runGang != 0 {
		b = binary.AppendUvarint(b, h.gang)
		b = h.members.append(b)
	}
	if h.flags&runAgain != 0 {
		b = binary.AppendUvarint(b, uint64(h.again))
	}
	if h.flags&runSkip != 0 {
		b = binary.AppendUvarint(b, uint64(h.skip))
	}
	return b, at
}

func (r *reader) run() run {
	h := run{flags: r.byte(), fn: uint32(r.uint()), units: r.fixed32(), chunk: 1, last: 1}
	if h.flags&runChunks != 0 {
		h.chunk, h.last = int(r.uint()), int(r.uint())
	}
	if h.flags&runTimeout != 0 {
		h.timeout = time.Duration(r.uint())
	}
	if h.flags&runGang != 0 {
		h.gang = r.uint()
		h.members = r.team()
	}
	if h.flags&runAgain != 0 {
		h.again = int(r.uint())
	}
	if h.flags&runSkip != 0 {
		h.skip = int(min(r.uint(), uint64(max(h.last, 1)-1)))
	}
	return h
}

// Hello is how a worker introduces itself.
type Hello struct {
	Pid         int
	Procs       int // GOMAXPROCS
	Rank        int // in the MPI job that the worker belongs to; -1 where there is none
	Host        string
	Fingerprint []byte // what both sides must agree on; compared by the Master's Check

	Workers int // how many there are; not sent, but filled in by the Master
}

func (h Hello) append(b []byte) []byte {
	b = append(b, kindHello)
	b = binary.AppendUvarint(b, uint64(h.Pid))
	b = binary.AppendUvarint(b, uint64(h.Procs))
	b = binary.AppendUvarint(b, uint64(h.Rank+1))
	b = binary.AppendUvarint(b, uint64(len(h.Host)))
	b = append(b, h.Host...)
	return append(b, h.Fingerprint...)
}

func parseHello(b []byte) (Hello, error) {
	r := reader{b: b}
	h := Hello{Pid: int(r.uint()), Procs: int(r.uint()), Rank: int(r.uint()) - 1}
	h.Host = string(r.bytes(r.uint()))
	h.Fingerprint = append([]byte(nil), r.b...)
	return h, r.err
}
