// Command otel computes a few things with a pool of workers and exports OpenTelemetry spans of it: for each task when it ran, on which worker and host, how long
// it was queued, and why it failed. It prints the spans; with another exporter they go to a collector (go.opentelemetry.io/otel/exporters/otlp).
//
// It is a module of its own, so that nobody who uses rankpool downloads OpenTelemetry.
//
//	cd examples/otel && go run .
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/rankpool/rankpool/futures"
)

var inverse = futures.Register("inverse", func(x float64) (float64, error) {
	time.Sleep(10 * time.Millisecond)
	if x == 0 {
		return 0, errors.New("0 has no inverse")
	}
	return 1 / x, nil
})

func main() { futures.Main(compute) }

func compute(ctx context.Context) error {
	to, err := stdouttrace.New(stdouttrace.WithWriter(os.Stdout))
	if err != nil {
		return err
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(to))
	exporter := NewExporter(provider.Tracer("rankpool"))

	xs := []float64{2, 4, 0, 8}
	err = futures.With(ctx, func(ex futures.Executor) error {
		i := 0
		for y, err := range futures.Map(ctx, ex, inverse, xs) {
			fmt.Fprintf(os.Stderr, "1/%g = %g %v\n", xs[i], y, err)
			i++
		}
		return nil
	}, futures.WithHooks(exporter.Observe))
	return errors.Join(err, provider.Shutdown(context.WithoutCancel(ctx))) // after the executor: by then the exporter has had the last batch
}
