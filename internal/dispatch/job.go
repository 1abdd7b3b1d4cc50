package dispatch

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// Job is a number of calls of one function, submitted together. The fields are set before Submit and then belong to the
// Master, until the Sink has heard of every unit.
//
// Programs have a million of them at once, so what few jobs need is behind More.
type Job struct {
	Func    uint32 // which function: the number both sides know it by
	Buffers bool   // the units in Data say how many segments they have
	Local   bool   // the Sink is a Local, which runs the units within this process; Data is empty
	Foreign bool   // the Sink calls code of the user's when it is given results
	marks   marks  // of the scheduler's

	Units int // how many units there are, at least 1

	// Data holds the units one after another: a uvarint with the length of the encoded arguments, then, when Buffers is
	// set, a uvarint with the number of the unit's segments and, unless that is 0, their pkl5.Sample (8 bytes little-endian),
	// then the arguments.
	Data []byte

	Sink Sink
	More *More // nil: none of it

	next *Job
	at   *cursor // where the units begin that wait; nil as long as all do
}

// marks are what the scheduler notes about a job, under its lock. They share a byte: there may be millions of jobs.
type marks uint8

const (
	withdrawn   marks = 1 << iota // its units are not to run any more
	queued                        // it has been put into the queue
	awaited                       // a task that has lent its slot waits for it
	dropped                       // its sink is told that it will not run, and it is counted
	interrupted                   // the contexts of its units are to end, and what comes back does not run
	withdrawing                   // it is of the call of Withdraw that is under way
	urgent                        // a task waits for it and did so before it was queued
)

func (j *Job) is(m marks) bool { return j.marks&m != 0 }

// More is what only some jobs have.
type More struct {
	Chunk   int           // elements per unit; 0 and 1 mean one. The last unit may have fewer: Elements
	Retries int           // how often a unit may be run again: after its worker was lost, and what Again says
	Timeout time.Duration // for one unit; 0 means none
	Grace   time.Duration // how long a unit may go on when its context was ended; 0 means as long as it likes

	// Elements is how many calls there are in all; it is only read when Chunk is above 1.
	Elements int

	First int // how many elements of the Flow are before those of this job, as its user counts them

	Segments [][]byte

	Again *Again // nil: only after a loss, and at once

	FailFast *FailFast // nil: a failure concerns nothing else

	Generation *Generation // of the values that its units find; nil: those of the set-up

	Flow     *Flow // of which it is a part; nil: that of all such jobs of its priority
	Priority int   // of a job without a Flow: higher ones go first

	// Gang has the one unit run on several workers, at the same time. Units must be 1: it becomes the number of workers when
	// the gang starts, and the Sink is told by Claim. A unit of a gang that is lost is never run again.
	Gang    bool
	Workers int  // of a gang: on how many; 0: on all
	OneHost bool // of a gang with Workers: all on one host
}

// FailFast belongs to jobs of which no unit is handed out any more once one of them has failed. Whoever has submitted them withdraws them
// when the failure reaches it; until then the scheduler passes over what waits. The scheduler's lock guards it.
type FailFast struct{ failed bool }

// fails notes that something of the job has failed for good.
func (j *Job) fails() {
	if f := j.more().FailFast; f != nil {
		f.failed = true
	}
}

// unwanted tells whether nothing of the job is to be handed out because of a failure.
func (j *Job) unwanted() bool {
	f := j.more().FailFast
	return f != nil && f.failed
}

var nothingMore More

// more returns what the job has of it. It is only read.
func (j *Job) more() *More {
	if j.More == nil {
		return &nothingMore
	}
	return j.More
}

// Release lets go of what only a waiting job needs; what runs has its own.
func (j *Job) Release() {
	j.Data = nil
	if !j.plain() {
		j.More.Segments = nil
	}
}

// taken is where a job stands of which no unit waits that has not been in the queue before.
var taken = &cursor{unit: math.MaxInt}

// begin returns where the units begin that wait.
func (j *Job) begin() cursor {
	if j.at == nil {
		return cursor{}
	}
	return *j.at
}

// waiting returns how many units wait, but for those that came back.
func (j *Job) waiting() int { return max(0, j.Units-j.begin().unit) }

// cursor is a position in a job: the next unit, and where its bytes and its segments begin.
type cursor struct {
	unit, off, seg int
}

// Sink hears what becomes of a job's units. Units are numbered from 0.
//
// Claim, Unclaim are called with the scheduler's lock held: they must be quick, must not block and must not call back.
// The others are called without it; calls about different units may run together. Where they may call code of the user's
// (results of a Foreign job, an error that a worker has encoded) they come from Config.Aside, and otherwise from the goroutine
// that received the news, which may be one that waits for something else. Each unit is reported by exactly one call of Results or
// Drop, or by calls of Part of which only the last says so, unless its job was withdrawn.
type Sink interface {
	// Claim says that n units from first on are about to be handed to a worker. False skips them: they were cancelled,
	// and nothing more is reported of them. A job of several units is skipped as a whole.
	Claim(first, n int) bool

	// Unclaim says that claimed units were not started after all, and wait again.
	Unclaim(first, n int)

	// Results delivers n units that succeeded: for each a result header (see ResultHeader) and the results of its
	// elements. It returns true to keep data; segments are always the sink's. Both are nil after a Local unit.
	Results(first, n int, data []byte, segments [][]byte, by *Record) (keep bool)

	// Part delivers what became of some elements of a unit that has not succeeded as a whole, or not at once. The parts of a
	// unit come in the order of its elements, each element in one of them.
	Part(unit int, p Part)

	// Drop says that n units will not run: the executor was shut down (ErrDropped) or broke (any other error).
	Drop(first, n int, why error)
}

// Part is what became of some elements of a unit: from element At on, Done have succeeded and the Failed after them have not.
type Part struct {
	At, Done, Failed int
	Last             bool // nothing more is to come of the unit

	Data     []byte // the results of those that succeeded, without a header. It is the sink's, as the segments are
	Segments [][]byte
	Err      error // why the others failed; nil for a Local unit, which knows

	Record *Record // of the unit, with its last part; nil with others
}

func (j *Job) chunk() int { return max(j.more().Chunk, 1) }

// elements returns how many calls the units [first, first+n) hold.
func (j *Job) elements(first, n int) int {
	c := j.chunk()
	if c == 1 {
		return n
	}
	return min(j.more().Elements, (first+n)*c) - first*c
}

// first returns which element of its Flow, or of the job if there is none, is the first one of a unit.
func (j *Job) first(unit int) int { return j.more().First + unit*j.chunk() }

// piece is a run of consecutive units of one job, waiting or handed out.
type piece struct {
	job *Job
	cursor
	n     int    // units
	seq   uint64 // the first unit's number at its worker, once handed out
	tries int    // how often these units, or the element that is next, have been lost so far while they ran
	lost  int    // how often its one unit was lost while it was received
	done  int    // units of it that were answered
	over  int    // elements that are over of the first unit that was not answered
	bad   bool   // one of these has failed
	alone bool   // its units were in a frame that was lost while it was received: now each has its own
	gone  bool   // its one unit was reported already: what the worker still says of it is ignored

	price float32 // what each unit counts for until its worker has reported: nanoseconds; 0 when that does not matter
}

// advance moves a cursor over n units.
func (j *Job) advance(c cursor, n int) cursor {
	c.unit += n
	if j.Local || j.is(withdrawn) {
		return c
	}
	for ; n > 0; n-- {
		if b := j.Data[c.off]; b < 0x80 && !j.Buffers { // what most are
			c.off += 1 + int(b)
			continue
		}
		size, w := uvarint(j.Data[c.off:])
		c.off += w
		if j.Buffers {
			segs, w := uvarint(j.Data[c.off:])
			if c.off += w; segs > 0 {
				c.off += sampleSize
				c.seg += int(segs)
			}
		}
		c.off += int(size)
	}
	return c
}

// LongestHead is the most bytes that a unit has in front of its arguments.
const LongestHead = 2*binary.MaxVarintLen64 + sampleSize

// AppendUnit appends a unit to the data of a job: its encoded arguments, and with buffers how many segments they use and
// the samples of these.
func AppendUnit(data, args []byte, segments [][]byte, buffers bool) []byte {
	data = appendUnitHead(data, len(args), segments, buffers)
	return append(data, args...)
}

func appendUnitHead(data []byte, size int, segments [][]byte, buffers bool) []byte {
	data = binary.AppendUvarint(data, uint64(size))
	if buffers {
		data = binary.AppendUvarint(data, uint64(len(segments)))
	}
	if len(segments) > 0 {
		data = binary.LittleEndian.AppendUint64(data, pkl5.Sample(segments))
	}
	return data
}

// OpenUnit begins a unit whose arguments are then appended to data. CloseUnit ends it.
func OpenUnit(data []byte) []byte { return append(data, 0) }

// CloseUnit ends a unit whose arguments were appended to data after OpenUnit, which had begun it at begin.
func CloseUnit(data []byte, begin int, segments [][]byte, buffers bool) []byte {
	args := data[begin+1:]
	if !buffers && len(args) < 0x80 {
		data[begin] = byte(len(args))
		return data
	}
	var head [LongestHead]byte
	return slices.Replace(data, begin, begin+1, appendUnitHead(head[:0], len(args), segments, buffers)...)
}

// WithCounts rewrites the data of so many units without segments in the form of a job with Buffers.
func WithCounts(data []byte, units int) []byte {
	long := make([]byte, 0, len(data)+units)
	for ; units > 0; units-- {
		size, n := uvarint(data)
		end := n + int(size)
		long = AppendUnit(long, data[n:end], nil, true)
		data = data[end:]
	}
	return long
}
