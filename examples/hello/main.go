// Command hello sends a greeting for each name through a pool of workers: Submit hands one call over, Result waits
// for its answer.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

// greet is registered at package level, so the master and every worker know the function by its name.
var greet = futures.Register("greet", func(name string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("hello, %s, from process %d on %s", name, os.Getpid(), host), nil
})

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: hello [name ...]

Greets every name from one of the pool's workers. Without names it greets the world.
RANKPOOL_BACKEND (auto, mpi, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.
`)
	}
	flag.Parse()      // code before Main runs in the workers too, with the same arguments
	futures.Main(run) // the master runs run; a worker serves here and never returns
}

func run(ctx context.Context) error {
	names := flag.Args()
	if len(names) == 0 {
		names = []string{"world"}
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		var greetings []*futures.Future[string]
		for _, name := range names {
			f, err := futures.Submit(ex, greet, name)
			if err != nil {
				return err
			}
			greetings = append(greetings, f)
		}
		for _, f := range greetings {
			greeting, err := f.Result(ctx)
			if err != nil {
				return err
			}
			fmt.Println(greeting)
		}
		return nil
	})
}
