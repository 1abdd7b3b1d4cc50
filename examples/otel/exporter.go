package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/rankpool/rankpool/futures"
)

// Exporter makes spans of what executors do: one for each executor, and below it one for each task, or batch of tiny ones. A lost worker and a worker that
// has come are events of the executor's span. Its method Observe is the hook.
type Exporter struct {
	tracer trace.Tracer

	mu   sync.Mutex
	runs map[int]*run // by executor
}

// NewExporter returns an Exporter of spans for a tracer.
func NewExporter(tracer trace.Tracer) *Exporter {
	return &Exporter{tracer: tracer, runs: map[int]*run{}}
}

// run is one executor.
type run struct {
	tracer  trace.Tracer
	ctx     context.Context // has the executor's span
	span    trace.Span
	workers map[int]futures.HookWorker // where they are
	failed  []futures.HookTask         // that wait for their failures, which may come in the next batch
	why     map[element]error
}

// element is one that has failed.
type element struct {
	job   uint64
	index int
}

// Observe is a [futures.Hook]. Several executors may have it.
func (x *Exporter) Observe(ctx context.Context, b *futures.HookBatch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.runs[b.Executor]
	if r == nil {
		r = &run{tracer: x.tracer, workers: map[int]futures.HookWorker{}, why: map[element]error{}}
		r.ctx, r.span = x.tracer.Start(ctx, "executor", trace.WithTimestamp(begins(b)),
			trace.WithAttributes(attribute.Int("rankpool.executor", b.Executor), attribute.String("rankpool.backend", b.Backend)))
		x.runs[b.Executor] = r
	}
	for _, w := range b.Workers {
		r.worker(w)
	}
	for _, f := range b.Failures {
		r.why[element{f.Job, f.Element}] = f.Err
	}
	waiting := r.failed
	r.failed = nil
	for _, t := range waiting {
		r.task(t)
	}
	for _, t := range b.Ended {
		if t.Outcome == futures.TaskFailed && !b.Last {
			r.failed = append(r.failed, t)
		} else {
			r.task(t)
		}
	}
	if b.Dropped > 0 || b.Merged > 0 {
		r.span.AddEvent("spans were lost: the exporter is slower than the run", trace.WithAttributes(
			attribute.Int("rankpool.tasks", b.Merged), attribute.Int("rankpool.others", b.Dropped)))
	}
	if b.Last {
		if b.Err != nil {
			r.span.SetStatus(codes.Error, b.Err.Error())
		}
		r.span.End()
		delete(x.runs, b.Executor)
	}
}

// begins is when the first of what a batch tells was.
func begins(b *futures.HookBatch) time.Time {
	first := time.Now()
	for _, w := range b.Workers {
		if w.At.Before(first) {
			first = w.At
		}
	}
	for _, t := range b.Ended {
		if t.Queued.Before(first) {
			first = t.Queued
		}
	}
	return first
}

// worker notes where a worker is, or what has become of it.
func (r *run) worker(w futures.HookWorker) {
	switch w.Phase {
	case futures.WorkerReady:
		r.workers[w.Worker] = w
	case futures.WorkerLost:
		r.span.RecordError(w.Err, trace.WithTimestamp(w.At))
	default:
		return
	}
	r.span.AddEvent("worker "+w.Phase.String(), trace.WithTimestamp(w.At), trace.WithAttributes(where(w)...))
}

func where(w futures.HookWorker) []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.Int("rankpool.worker", w.Worker), attribute.String("host.name", w.Host), attribute.Int("process.pid", w.Pid)}
	if w.Rank >= 0 {
		all = append(all, attribute.Int("rankpool.rank", w.Rank))
	}
	return all
}

// task makes the span of a task, from when it was begun to when it was ended.
func (r *run) task(t futures.HookTask) {
	_, span := r.tracer.Start(r.ctx, t.Func, trace.WithTimestamp(t.Begun), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("code.function.name", t.Func),
		attribute.Int64("rankpool.job", int64(t.Job)),
		attribute.Int("rankpool.element", t.First),
		attribute.Int("rankpool.elements", t.Elements),
		attribute.Int("rankpool.attempt", t.Attempt),
		attribute.Float64("rankpool.queued_seconds", t.Sent.Sub(t.Queued).Seconds()),
		attribute.Float64("rankpool.busy_seconds", t.Busy.Seconds()),
	), trace.WithAttributes(where(r.workers[t.Worker])...))
	if t.Outcome != futures.TaskSucceeded {
		span.SetStatus(codes.Error, t.Outcome.String())
		for i := range t.Elements {
			e := element{t.Job, t.First + i}
			if err := r.why[e]; err != nil {
				span.RecordError(err, trace.WithTimestamp(t.Ended), trace.WithAttributes(attribute.Int("rankpool.element", e.index)))
				span.SetStatus(codes.Error, fmt.Sprintf("element %d: %v", e.index, err))
				delete(r.why, e)
			}
		}
	}
	span.End(trace.WithTimestamp(t.Ended))
}
