package trace

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields of docs/recording.proto.
const (
	fieldRecord = 1 // of Recording

	fieldRun       = 1 // of Record
	fieldText      = 2
	fieldPool      = 3
	fieldPoolEnd   = 4
	fieldWorker    = 5
	fieldJob       = 6
	fieldUnits     = 7
	fieldFailure   = 8
	fieldCancelled = 9
	fieldCounters  = 10
	fieldClock     = 11
	fieldThinned   = 12
)

// magic is the first text of a run, by which a file is known for a recording.
const magic = "rankpool recording 1"

// isRecording tells whether a file begins as one: with a record, in that a run, and in that the magic text. The file may be cut off there, but
// not in its first six bytes: so short a file may be anything.
func isRecording(b []byte) bool {
	if len(b) < 6 {
		return false
	}
	for _, field := range []protowire.Number{fieldRecord, fieldRun, 1} {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num != field || typ != protowire.BytesType {
			return len(b) == 0
		}
		_, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return len(b) == n
		}
		b = b[n+m:]
	}
	return strings.HasPrefix(string(b), magic) || strings.HasPrefix(magic, string(b))
}

// running is what encoder and decoder know of the records before: numbers are told by how they differ.
type running struct {
	at      time.Duration
	job     uint64
	next    int // the element behind the last ones
	in, out int64
}

// encoder makes the records of one file.
type encoder struct {
	running
	texts map[string]uint64
	inner []byte
}

// message is the fields of one.
type message []byte

func (m *message) uint(field protowire.Number, v uint64) {
	if v != 0 {
		*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), v)
	}
}

func (m *message) int(field protowire.Number, v int64) { m.uint(field, protowire.EncodeZigZag(v)) }

func (m *message) string(field protowire.Number, s string) {
	if s != "" {
		*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
	}
}

// record appends one to b.
func record(b []byte, field protowire.Number, inner message) []byte {
	tag := protowire.SizeTag(field)
	b = protowire.AppendTag(b, fieldRecord, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(tag+protowire.SizeBytes(len(inner))))
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, inner)
}

// mostText is how much is kept of a text.
const mostText = 400

// text returns the number of a text, which is told before if it is new.
func (e *encoder) text(b *[]byte, s string) uint64 {
	if s == "" {
		return 0
	}
	if len(s) > mostText {
		s = s[:mostText] + "…"
	}
	if n, ok := e.texts[s]; ok {
		return n
	}
	n := uint64(len(e.texts) + 1)
	e.texts[s] = n
	var m message
	m.string(1, strings.ToValidUTF8(s, "?"))
	*b = record(*b, fieldText, m)
	return n
}

// since tells when something was.
func (e *encoder) since(m *message, at time.Duration) {
	m.int(1, int64(at-e.at))
	e.at = at
}

func span(from, to time.Duration) uint64 { return uint64(max(to-from, 0)) }

// append appends the records of an event to b.
func (e *encoder) append(b []byte, v *Event) []byte {
	m := message(e.inner[:0])
	var field protowire.Number
	switch v.Kind {
	case RunBegins:
		e.running, e.texts = running{}, map[string]uint64{}
		field = fieldRun
		r := v.Run
		m.string(1, magic)
		m.uint(2, r.ID)
		m.int(3, r.Began.UnixNano())
		m.string(4, r.Program)
		m.string(5, r.Host)
		m.uint(6, uint64(r.Pid))
		m.string(7, r.System)
		m.string(8, r.Go)
		m.string(9, r.Version)
		m.uint(10, uint64(r.Cores))
		m.uint(11, uint64(r.Limit))
	case PoolBegins:
		kind := e.text(&b, v.Text)
		field = fieldPool
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, kind)
	case PoolEnds:
		why := e.text(&b, v.Text)
		field = fieldPoolEnd
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, why)
	case WorkerIs:
		host, text := e.text(&b, v.Host), e.text(&b, v.Text)
		field = fieldWorker
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, uint64(v.Worker))
		m.uint(4, uint64(v.Phase))
		m.uint(5, host)
		m.uint(6, uint64(v.Pid))
		m.uint(7, uint64(v.Rank+1))
		m.uint(8, text)
	case JobQueued:
		fn := e.text(&b, v.Func)
		field = fieldJob
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, v.Job)
		m.uint(4, fn)
		m.uint(5, uint64(v.Count))
		m.uint(6, uint64(v.Chunk))
		m.uint(7, uint64(v.Map))
	case UnitsRan:
		fn := uint64(0)
		if !v.Listed {
			fn = e.text(&b, v.Func)
		}
		field = fieldUnits
		e.units(&m, v, fn)
	case UnitFailed:
		text, fn := e.text(&b, v.Text), e.text(&b, v.Func)
		field = fieldFailure
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, uint64(v.Worker+1))
		m.uint(4, v.Job)
		m.uint(5, uint64(v.First))
		m.uint(6, fn)
		m.uint(7, text)
		m.uint(8, uint64(max(v.Attempt-1, 0)))
		m.uint(9, uint64(v.Outcome))
	case Cancelled:
		field = fieldCancelled
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, v.Job)
		m.uint(4, uint64(v.Units))
	case Counted:
		field = fieldCounters
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		for i, n := range v.Counters.list() {
			m.uint(protowire.Number(3+i), n)
		}
	case ClockKnown:
		field = fieldClock
		e.since(&m, v.At)
		m.uint(2, uint64(v.Pool))
		m.uint(3, uint64(v.Worker))
		m.uint(4, uint64(v.Bound))
	case Thinned:
		text := e.text(&b, v.Text)
		field = fieldThinned
		e.since(&m, v.At)
		m.uint(2, uint64(v.Units))
		m.uint(3, uint64(v.Count))
		m.uint(4, text)
	default:
		return b
	}
	e.inner = m
	return record(b, field, m)
}

// units are most of a recording, so what can be told by less is.
func (e *encoder) units(m *message, v *Event, fn uint64) {
	e.since(m, v.At)
	m.uint(2, span(v.At, v.Begun))
	m.uint(3, span(v.Begun, v.Ended))
	m.uint(4, span(v.Ended, v.Answered))
	m.uint(5, uint64(v.Pool-1))
	m.uint(6, uint64(v.Worker))
	m.int(7, int64(v.Job-e.job))
	m.int(8, int64(v.First-e.next))
	e.job, e.next = v.Job, v.First+v.Count
	if v.Count != 1 {
		m.uint(9, uint64(v.Count))
	}
	if v.Units != v.Count {
		m.uint(10, uint64(v.Units))
	}
	m.uint(11, fn)
	m.uint(12, span(v.Queued, v.At))
	m.int(13, v.In-e.in)
	m.int(14, v.Out-e.out)
	e.in, e.out = v.In, v.Out
	m.uint(15, uint64(v.Outcome))
	m.uint(16, uint64(max(v.Attempt-1, 0)))
	if v.Busy != v.Ended-v.Begun {
		m.uint(17, uint64(max(v.Busy, 0))+1)
	}
	m.uint(18, uint64(max(v.Longest, 0)))
}

// list has the counters in the order of their fields.
func (c *Counters) list() [10]uint64 {
	return [...]uint64{c.Submitted, c.Done, c.Failed, c.Cancelled, c.Retried, c.Lost, c.Restarts,
		uint64(max(c.Queued, 0)), uint64(max(c.Running, 0)), uint64(max(c.Workers, 0))}
}

func (c *Counters) set(i int, v uint64) {
	number := int(min(v, math.MaxInt32))
	switch i {
	case 0:
		c.Submitted = v
	case 1:
		c.Done = v
	case 2:
		c.Failed = v
	case 3:
		c.Cancelled = v
	case 4:
		c.Retried = v
	case 5:
		c.Lost = v
	case 6:
		c.Restarts = v
	case 7:
		c.Queued = number
	case 8:
		c.Running = number
	case 9:
		c.Workers = number
	}
}
