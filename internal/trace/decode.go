package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrNoRecording is the error of Read for something else.
var ErrNoRecording = errors.New("this is no recording of rankpool: it does not begin as one")

// Read calls f for the events of a recording, in their order. The event is f's only until it returns. The number is how many bytes of whole
// records there are. A recording that breaks off in a record is read up to that, and cut is true. The error is that of the reader, of f, or says
// which byte is damaged.
func Read(r io.Reader, f func(e *Event) error) (whole int64, cut bool, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	d := decoder{}
	var buf []byte
	for {
		head, err := in.Peek(1)
		if len(head) == 0 {
			if err == io.EOF {
				return whole, false, nil
			}
			return whole, false, err
		}
		if head[0] != fieldRecord<<3|byte(protowire.BytesType) {
			if whole == 0 {
				return 0, false, ErrNoRecording
			}
			return whole, false, fmt.Errorf("the recording is damaged at byte %d: no record begins there", whole)
		}
		size, n, err := length(in)
		if err == io.EOF {
			return whole, true, nil
		}
		if err != nil || size > mostRecord {
			return whole, false, fmt.Errorf("the recording is damaged at byte %d: a record has no length", whole)
		}
		if cap(buf) < size {
			buf = make([]byte, size)
		}
		buf = buf[:size]
		if _, err := io.ReadFull(in, buf); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return whole, true, nil
			}
			return whole, false, err
		}
		e, err := d.record(buf)
		if err != nil {
			if whole == 0 {
				return 0, false, ErrNoRecording
			}
			return whole, false, fmt.Errorf("the recording is damaged at byte %d: %w", whole, err)
		}
		if e != nil {
			if err := f(e); err != nil {
				return whole, false, err
			}
		}
		whole += int64(n + size)
	}
}

// mostRecord is more than any record has.
const mostRecord = 1 << 20

// length reads the tag and the length of a record, and returns how many bytes they had.
func length(in *bufio.Reader) (size, n int, err error) {
	for n = 2; n < 12; n++ {
		b, err := in.Peek(n)
		if len(b) < n {
			return 0, 0, err
		}
		if b[n-1] < 0x80 {
			v, m := protowire.ConsumeVarint(b[1:])
			if m < 0 || v > mostRecord {
				return 0, 0, errDamaged
			}
			_, _ = in.Discard(n)
			return int(v), n, nil
		}
	}
	return 0, 0, errDamaged
}

var errDamaged = errors.New("it is not what the schema says")

type decoder struct {
	running
	begun bool
	texts []string
	event Event
	run   Run
	count Counters
}

// fields calls f for each field of a message that is a number, or bytes.
func fields(b []byte, f func(field protowire.Number, v uint64, bytes []byte)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errDamaged
		}
		b = b[n:]
		switch typ {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return errDamaged
			}
			f(num, v, nil)
			b = b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return errDamaged
			}
			f(num, 0, v)
			b = b[n:]
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(b)
			if n < 0 {
				return errDamaged
			}
			f(num, v, nil)
			b = b[n:]
		default:
			n := protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return errDamaged
			}
			b = b[n:]
		}
	}
	return nil
}

func (d *decoder) text(n uint64) string {
	if n == 0 || n > uint64(len(d.texts)) {
		return ""
	}
	return d.texts[n-1]
}

func number(v uint64) int { return int(min(v, math.MaxInt)) }

// record returns the event of a record, or nil if it has none that this version knows.
func (d *decoder) record(b []byte) (*Event, error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || typ != protowire.BytesType {
		return nil, errDamaged
	}
	inner, m := protowire.ConsumeBytes(b[n:])
	if m < 0 || n+m != len(b) {
		return nil, errDamaged
	}
	if num == fieldRun {
		return d.runs(inner)
	}
	if !d.begun {
		return nil, errDamaged
	}
	e := &d.event
	*e = Event{Worker: -1, Rank: -1, Attempt: 1}
	var at time.Duration
	var f [19]uint64
	text := ""
	err := fields(inner, func(field protowire.Number, v uint64, bytes []byte) {
		if field < protowire.Number(len(f)) {
			f[field] = v
		}
		if bytes != nil && field == 1 {
			text = string(bytes)
		}
	})
	if err != nil {
		return nil, err
	}
	if num == fieldText {
		d.texts = append(d.texts, text)
		return nil, nil
	}
	at = d.at + time.Duration(protowire.DecodeZigZag(f[1]))
	e.At = at
	e.Pool = number(f[2])
	switch num {
	case fieldPool:
		e.Kind, e.Text = PoolBegins, d.text(f[3])
	case fieldPoolEnd:
		e.Kind, e.Text = PoolEnds, d.text(f[3])
	case fieldWorker:
		e.Kind, e.Worker, e.Phase = WorkerIs, number(f[3]), Phase(min(f[4], 255))
		e.Host, e.Pid, e.Rank, e.Text = d.text(f[5]), number(f[6]), number(f[7])-1, d.text(f[8])
	case fieldJob:
		e.Kind, e.Job, e.Func, e.Count, e.Chunk = JobQueued, f[3], d.text(f[4]), number(f[5]), number(f[6])
		e.Map = number(f[7])
	case fieldUnits:
		d.units(e, &f)
	case fieldFailure:
		e.Kind, e.Worker, e.Job, e.First = UnitFailed, number(f[3])-1, f[4], number(f[5])
		e.Func, e.Text, e.Attempt, e.Outcome = d.text(f[6]), d.text(f[7]), number(f[8])+1, Outcome(min(f[9], 255))
	case fieldCancelled:
		e.Kind, e.Job, e.Units = Cancelled, f[3], number(f[4])
	case fieldCounters:
		d.count = Counters{}
		e.Kind, e.Counters = Counted, &d.count
		for i := range d.count.list() {
			d.count.set(i, f[3+i])
		}
	case fieldClock:
		e.Kind, e.Worker, e.Bound = ClockKnown, number(f[3]), time.Duration(f[4])
	case fieldThinned:
		e.Kind, e.Pool, e.Units, e.Count, e.Text = Thinned, 0, number(f[2]), number(f[3]), d.text(f[4])
	default: // of a later version, in which numbers are told as in this one
		return nil, nil
	}
	d.at = at
	return e, nil
}

func (d *decoder) units(e *Event, f *[19]uint64) {
	e.Kind = UnitsRan
	e.Begun = e.At + time.Duration(f[2])
	e.Ended = e.Begun + time.Duration(f[3])
	e.Answered = e.Ended + time.Duration(f[4])
	e.Pool, e.Worker = number(f[5])+1, number(f[6])
	e.Job = d.job + uint64(protowire.DecodeZigZag(f[7]))
	e.First = d.next + int(protowire.DecodeZigZag(f[8]))
	if e.Count = number(f[9]); e.Count == 0 {
		e.Count = 1
	}
	if e.Units = number(f[10]); e.Units == 0 {
		e.Units = e.Count
	}
	d.job, d.next = e.Job, e.First+e.Count
	e.Func = d.text(f[11])
	e.Queued = e.At - time.Duration(f[12])
	e.In, e.Out = d.in+protowire.DecodeZigZag(f[13]), d.out+protowire.DecodeZigZag(f[14])
	d.in, d.out = e.In, e.Out
	e.Outcome, e.Attempt = Outcome(min(f[15], 255)), number(f[16])+1
	if e.Busy = e.Ended - e.Begun; f[17] > 0 {
		e.Busy = time.Duration(f[17] - 1)
	}
	e.Longest = time.Duration(f[18])
}

func (d *decoder) runs(b []byte) (*Event, error) {
	r := Run{}
	known := ""
	err := fields(b, func(field protowire.Number, v uint64, bytes []byte) {
		switch field {
		case 1:
			known = string(bytes)
		case 2:
			r.ID = v
		case 3:
			r.Began = time.Unix(0, protowire.DecodeZigZag(v))
		case 4:
			r.Program = string(bytes)
		case 5:
			r.Host = string(bytes)
		case 6:
			r.Pid = number(v)
		case 7:
			r.System = string(bytes)
		case 8:
			r.Go = string(bytes)
		case 9:
			r.Version = string(bytes)
		case 10:
			r.Cores = number(v)
		case 11:
			r.Limit = int64(min(v, math.MaxInt64))
		}
	})
	if err != nil {
		return nil, err
	}
	if known != magic {
		return nil, errDamaged
	}
	d.running, d.texts, d.begun = running{}, nil, true
	d.run = r
	d.event = Event{Kind: RunBegins, Run: &d.run, Worker: -1, Rank: -1}
	return &d.event, nil
}
