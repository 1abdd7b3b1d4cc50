// Command inspmd is the command inworker for a program whose function runs on every rank. With an argument it calls the functions of
// package futures that are not for it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/futures/testdata/early"
	"github.com/rankpool/rankpool/spmd"
)

var atStart = futures.InWorker()

var ask = futures.Register("ask", func(struct{}) (bool, error) { return futures.InWorker(), nil })

func tell(what string) func(context.Context, futures.Executor) error {
	return func(ctx context.Context, ex futures.Executor) error {
		f, err := futures.SubmitEach(ex, ask, struct{}{})
		if err != nil {
			return err
		}
		in, err := f.Result(ctx)
		fmt.Println(what, in, futures.InWorker(), ex.Backend())
		return err
	}
}

func run(ctx context.Context) error {
	fmt.Println("in the function:", futures.InWorker())
	if err := futures.MPICommExecutor(ctx, nil, 0, tell("in tasks of ranks:")); err != nil {
		return err
	}
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		return err
	}
	defer ex.Close()
	return tell("in tasks of processes:")(ctx, ex)
}

// tests are what a test binary runs.
type tests struct{}

func (tests) Run() int {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err == nil {
		defer ex.Close()
		err = tell("in tasks of processes:")(context.Background(), ex)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func main() {
	fmt.Printf("before Main: %v %v %v\n", early.Worker, atStart, futures.InWorker())
	switch {
	case len(os.Args) < 2:
		spmd.Main(run)
	case os.Args[1] == "TestMain":
		futures.TestMain(tests{})
	default:
		futures.Main(func(context.Context) error { return nil })
	}
}
