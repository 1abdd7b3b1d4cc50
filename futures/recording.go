package futures

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/resultlog"
	"github.com/rankpool/rankpool/journal"
)

// CallOption is an option of one call, one gang or one map, of any verb.
type CallOption interface {
	SingleOption
	AnyMapOption
}

// WithJournal records the results of a call, of a gang, or of the elements of a map, in j. What is recorded there already is delivered without
// running. So a program that was killed and is started again goes on where it was: see docs/long-jobs.md.
//
// A call is identified by its function's name and version ([WithVersion]), the layout of its types, what the executor gives its workers
// (globals, with the values that [Global.Set] has given them by then, the initializer and its argument, [WithDir], [WithEnv]), and its
// argument. The backend, the number of workers and the thresholds do not matter. Equal calls are matched in order: the first that is
// submitted while the journal is open gets the result that was recorded first, and so on. A thousand equal arguments have a thousand results.
// A call or a gang that is refused, cancelled or dropped before it has run gives its place to the next equal one. Elements of a map keep theirs.
//
// Results are recorded when they arrive. The journal writes them soon after, so no call waits for the file unless 256 MiB wait already.
// Failures of functions are recorded too, but run again the next time. If the journal was opened with [journal.SkipFailures] they fail with
// a [*RecordedError] instead. Calls that were cancelled, interrupted or lost with their worker are not recorded. Elements of a map travel
// and are recorded one by one, so [WithChunkSize] has no effect.
//
// A gang ([SubmitEach]) is one entry with the results of all its members, which is recorded when all have succeeded. If a member fails or is
// lost, all of them run again the next time. The size of the gang is part of what identifies it, so [OnWorkers] is needed. A recorded gang is
// delivered even if the executor has fewer workers.
//
// If a function cannot be recorded, the error of the call or of the map says why: a [Local] one has no lasting name. A nil journal has no
// effect.
func WithJournal(j *journal.Journal) CallOption { return journalOption{j} }

// journalOption is WithJournal.
type journalOption struct{ j *journal.Journal }

func (o journalOption) task(c *taskConfig) error    { c.journal = (*resultlog.Log)(o.j); return nil }
func (o journalOption) forEach(c *taskConfig) error { return o.task(c) }
func (o journalOption) forMap(c *mapConfig) error   { return o.task(&c.task) }
func (o journalOption) forList()                    {}

// RecordedError is the error of a call that had failed before and did not run again, because the journal was opened with
// [journal.SkipFailures].
type RecordedError struct {
	Func string
	Text string    // the text of the failure
	When time.Time // when it was recorded
}

func (e *RecordedError) Error() string {
	return fmt.Sprintf("%s failed on %s and was not run again: %s", e.Func, e.When.Format(time.DateTime), e.Text)
}

// recording is what the calls of a function on an executor have to do with a journal.
type recording[A, R any] struct {
	log *resultlog.Log
	fn  *function[A, R]
	of  *resultlog.Func
	ex  *executor

	gang int // how many members it runs on; 0: single calls
}

// recordingKey is what an executor finds the function of a log by.
type recordingKey struct {
	log        *resultlog.Log
	fn         any
	generation uint64 // of the globals
	gang       int
}

// newRecording returns the recording of a function, for gangs of a size or, if that is 0, for single calls; nil without a log.
func newRecording[A, R any](e *executor, fn *function[A, R], log *resultlog.Log, g *dispatch.Generation, gang int) (*recording[A, R], error) {
	if log == nil {
		return nil, nil
	}
	if fn.local {
		return nil, fmt.Errorf("futures: WithJournal: %s is a Local function without a lasting name: give it one with Register", fn.name)
	}
	key := recordingKey{log: log, fn: fn, gang: gang}
	if g != nil {
		key.generation = g.Number
	}
	of, known := e.recordings.Load(key)
	if !known {
		given, err := dependencies(e, g, gang)
		if err != nil {
			return nil, fmt.Errorf("futures: WithJournal: %w", err)
		}
		f, err := log.Function(resultlog.Function{Name: fn.name, Version: fn.version, Types: layout(fn), Given: given})
		if err != nil {
			return nil, fmt.Errorf("futures: WithJournal: %w", err)
		}
		of, _ = e.recordings.LoadOrStore(key, f)
	}
	return &recording[A, R]{log, fn, of.(*resultlog.Func), e, gang}, nil
}

// unrecorded is the key of calls that are not recorded.
var unrecorded resultlog.Key

// teller finds out what is recorded, for one goroutine.
type teller[A, R any] struct {
	*recording[A, R]
	enc    pkl5.Encoder
	reader *resultlog.Reader
}

func (rec *recording[A, R]) teller() *teller[A, R] {
	return &teller[A, R]{recording: rec, enc: pkl5.Encoder{Canonical: true}, reader: rec.log.Reader()}
}

// submit counts a call and returns its entry and what is recorded of it; known is false if it is to run. A call whose argument has no canonical encoding has the zero key, and is not
// recorded.
func (t *teller[A, R]) submit(arg *A) (entry resultlog.Entry, o resultlog.Outcome, known bool) {
	t.enc.Reset()
	if err := t.fn.args.Encode(&t.enc, arg); err != nil {
		t.log.Warn(fmt.Sprintf("an argument of %s cannot be told from others, so what becomes of it is not recorded: %v", t.fn.name, err))
		return entry, o, false
	}
	_, entry = t.log.Submit(t.of, t.of.Key(t.enc.Stream, t.enc.Segments))
	if !entry.Recorded() {
		return entry, o, false
	}
	o, known = t.reader.Read(entry)
	if known && o.Failed && !t.log.SkipFailures() {
		known = false
	}
	return entry, o, known
}

// failure is the error of a call whose failure is recorded.
func (rec *recording[A, R]) failure(o resultlog.Outcome) error {
	return &RecordedError{Func: rec.fn.name, Text: o.Text, When: o.When}
}

// results records units that have succeeded, each one element, of which data is what a sink is given.
func (rec *recording[A, R]) results(keys []resultlog.Key, data []byte, segments [][]byte) {
	for _, key := range keys {
		length, _, size := dispatch.ResultHeader(data)
		if key != unrecorded {
			rec.log.Record(rec.of, key, data[size:size+length], segments)
		}
		data = data[size+length:]
	}
}

// values records results that were not encoded.
func (rec *recording[A, R]) values(keys []resultlog.Key, values []R) {
	var enc pkl5.Encoder
	for i, key := range keys {
		if key == unrecorded {
			continue
		}
		enc.Reset()
		if err := rec.fn.result.Encode(&enc, &values[i]); err != nil {
			rec.log.Warn(fmt.Sprintf("a result of %s cannot be encoded, and is not recorded: %v", rec.fn.name, err))
			return
		}
		rec.log.Record(rec.of, key, enc.Stream, enc.Segments)
	}
}

// failed records that a call has failed, if that was its own doing.
func (rec *recording[A, R]) failed(key resultlog.Key, err error) {
	for _, not := range []error{context.Canceled, ErrBroken, ErrCancelled, ErrDrained, ErrShutdown, ErrArgumentChanged} {
		if errors.Is(err, not) {
			return
		}
	}
	if key == unrecorded || life.Draining() || life.WasSignalled() {
		return
	}
	rec.log.Failed(rec.of, key, err.Error())
}

// recall counts a call. If it is recorded it returns a future that is done, and otherwise what it is to be recorded under.
func (rec *recording[A, R]) recall(m *dispatch.Master, arg *A) (*Future[R], resultlog.Entry, error) {
	if err := m.Refusal(); err != nil {
		return nil, resultlog.Entry{}, refusal(err)
	}
	counted, o, known := rec.teller().submit(arg)
	if !known {
		return nil, counted, nil
	}
	f := rec.recalled(o)
	if f != nil {
		rec.ex.recalled.Add(1)
	}
	return f, counted, nil
}

// recalled returns a future that is done with what is recorded of a call. It is nil if that cannot be decoded: then the call runs.
func (rec *recording[A, R]) recalled(o resultlog.Outcome) *Future[R] {
	v, err, ok := fromRecord(rec, o, rec.fn.decode)
	if !ok {
		return nil
	}
	t := &task[A, R]{fn: rec.fn, ex: rec.ex}
	t.owner = t
	t.finish(nil, v, err)
	return &t.Future
}

// fromRecord returns what is recorded of a call or a gang; ok is false if that cannot be decoded.
func fromRecord[A, R, V any](rec *recording[A, R], o resultlog.Outcome, decode func(stream []byte, segments [][]byte) (V, error)) (v V, failure error, ok bool) {
	if o.Failed {
		return v, rec.failure(o), true
	}
	var err error
	if o.Large != nil {
		if o.Stream, o.Segments, err = o.Large.Read(); err != nil {
			return v, nil, false
		}
	}
	v, err = decode(o.Stream, o.Segments)
	return v, nil, err == nil
}

// recorded is the sink of a call whose entry may become known after it has been made.
type recorded interface {
	take(log *resultlog.Log, counted resultlog.Entry)
}

// recordedTask is the sink of a call whose result is to be recorded.
type recordedTask[A, R any] struct {
	*task[A, R]
	entry
	rec *recording[A, R]
}

// Results implements dispatch.Sink.
func (t *recordedTask[A, R]) Results(first, n int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	t.rec.results([]resultlog.Key{t.key}, data, segments)
	return t.task.Results(first, n, data, segments, by)
}

// Part implements dispatch.Sink.
func (t *recordedTask[A, R]) Part(unit int, p dispatch.Part) {
	if p.Err != nil {
		t.rec.failed(t.key, p.Err)
	}
	t.task.Part(unit, p)
}

// Drop implements dispatch.Sink.
func (t *recordedTask[A, R]) Drop(first, n int, why error) {
	t.never()
	t.task.Drop(first, n, why)
}

// recordedLocal is the sink of a call by reference whose result is to be recorded.
type recordedLocal[A, R any] struct {
	*localTask[A, R]
	entry
	rec *recording[A, R]
}

// Results implements dispatch.Sink.
func (t *recordedLocal[A, R]) Results(first, n int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	t.rec.values([]resultlog.Key{t.key}, []R{t.value})
	return t.localTask.Results(first, n, data, segments, by)
}

// Part implements dispatch.Sink.
func (t *recordedLocal[A, R]) Part(unit int, p dispatch.Part) {
	err := p.Err
	if err == nil {
		err = t.noted()
	}
	if err != nil {
		t.rec.failed(t.key, err)
	}
	t.localTask.Part(unit, p)
}

// Drop implements dispatch.Sink.
func (t *recordedLocal[A, R]) Drop(first, n int, why error) {
	t.never()
	t.localTask.Drop(first, n, why)
}

// record has the results of a task recorded.
func (rec *recording[A, R]) record(t *task[A, R], counted resultlog.Entry) {
	var sink interface {
		dispatch.Sink
		recorded
	}
	if l, ok := t.job.Sink.(*localTask[A, R]); ok {
		sink = &recordedLocal[A, R]{localTask: l, rec: rec}
	} else {
		sink = &recordedTask[A, R]{task: t, rec: rec}
	}
	sink.take(rec.log, counted)
	t.job.Sink = sink
	t.job.Foreign = true // what is copied, or encoded, delays nobody
}
