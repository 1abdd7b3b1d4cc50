// Command inworker tells whether its processes know that they are workers: before Main, in a library and in package main, and in
// tasks.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/futures/testdata/early"
)

var atStart = futures.InWorker()

var ask = futures.Register("ask", func(struct{}) (bool, error) { return futures.InWorker(), nil })

func run(ctx context.Context) error {
	if futures.InWorker() {
		return fmt.Errorf("Main's function runs in a worker")
	}
	return futures.With(ctx, func(ctx context.Context, ex futures.Executor) error {
		f, err := futures.SubmitEach(ex, ask, struct{}{})
		if err != nil {
			return err
		}
		in, err := f.Result(ctx)
		fmt.Println("in tasks:", in, ex.Backend())
		return err
	})
}

// tests are what a test binary runs.
type tests struct{}

func (tests) Run() int {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func main() {
	fmt.Printf("before Main: %v %v %v\n", early.Worker, atStart, futures.InWorker())
	if len(os.Args) > 1 {
		futures.TestMain(tests{})
	}
	futures.Main(run)
}
