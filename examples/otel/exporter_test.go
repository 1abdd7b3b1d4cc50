package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rankpool/rankpool/futures"
)

func TestMain(m *testing.M) { futures.TestMain(m) }

var fails = futures.Register("fails", func(x int) (int, error) {
	if x == 3 {
		return 0, errors.New("three")
	}
	return x, nil
})

func TestSpansTellWhatRanAndWhyItFailed(t *testing.T) {
	for name, with := range map[string]func(...futures.Option) (futures.Executor, error){
		"goroutines": func(o ...futures.Option) (futures.Executor, error) { return futures.NewThreadPoolExecutor(o...) },
		"processes":  func(o ...futures.Option) (futures.Executor, error) { return futures.NewProcessPoolExecutor(o...) },
	} {
		t.Run(name, func(t *testing.T) {
			memory := tracetest.NewInMemoryExporter()
			provider := sdk.NewTracerProvider(sdk.WithSyncer(memory))
			exporter := NewExporter(provider.Tracer("test"))
			done := make(chan struct{})
			ex, err := with(futures.WithMaxWorkers(2), futures.WithHooks(func(ctx context.Context, b *futures.HookBatch) {
				exporter.Observe(ctx, b)
				if b.Last {
					close(done)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range futures.Map(t.Context(), ex, fails, []int{0, 1, 2, 3, 4}, futures.WithChunkSize(1)) {
				_ = err // it is the spans that count
			}
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
			<-done // Close waits for it too, but no longer than some seconds
			spans := memory.GetSpans()
			elements, failed, roots := 0, "", 0
			for _, s := range spans {
				if s.Name == "executor" {
					roots++
					continue
				}
				if s.Name != "fails" || s.EndTime.Before(s.StartTime) || s.Parent.SpanID() != spans[len(spans)-1].SpanContext.SpanID() {
					t.Errorf("%s from %v to %v", s.Name, s.StartTime, s.EndTime)
				}
				for _, a := range s.Attributes {
					if a.Key == "rankpool.elements" {
						elements += int(a.Value.AsInt64())
					}
					if a.Key == "process.pid" && a.Value.AsInt64() == 0 {
						t.Error("a task ran nowhere")
					}
				}
				if s.Status.Code == codes.Error {
					failed += s.Status.Description
				}
			}
			if roots != 1 || elements != 5 || failed == "" || len(memory.GetSpans()) < 2 {
				t.Errorf("%d spans of executors, %d elements, failed: %q", roots, elements, failed)
			}
		})
	}
}

// The last batch has a failed task, and a lost worker; the one before was too much for the exporter.
func TestTheExecutorsSpanTellsOfLossesAndOfWhatIsMissing(t *testing.T) {
	memory := tracetest.NewInMemoryExporter()
	exporter := NewExporter(sdk.NewTracerProvider(sdk.WithSyncer(memory)).Tracer("test"))
	at := time.Now()
	exporter.Observe(t.Context(), &futures.HookBatch{Executor: 1, Merged: 5, Dropped: 2,
		Ended: []futures.HookTask{{Job: 1, Func: "f", Elements: 1, Tasks: 1, Outcome: futures.TaskFailed, Queued: at, Sent: at, Begun: at, Ended: at.Add(1)}}})
	if n := len(memory.GetSpans()); n != 0 {
		t.Fatalf("%d spans: the failed task waits for its failure", n)
	}
	exporter.Observe(t.Context(), &futures.HookBatch{Executor: 1, Last: true, Err: errors.New("broken"),
		Failures: []futures.HookFailure{{Job: 1, Err: errors.New("why")}},
		Workers:  []futures.HookWorker{{Worker: 0, Phase: futures.WorkerLost, At: at, Err: errors.New("killed")}}})
	spans := memory.GetSpans()
	if len(spans) != 2 || spans[0].Status.Description != "element 0: why" || spans[1].Status.Description != "broken" || len(spans[1].Events) != 3 {
		t.Errorf("%+v", spans)
	}
}
