// Command profiled computes in the master and, each time, on every worker, and ends as its first argument says. It takes no profile itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// sink keeps the compiler from leaving out what is computed. Workers may be goroutines.
var sink atomic.Int64

// burn computes for more than a few of the profiler's samples, however long that takes.
func burn(n int) {
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end) || n < 3_000_000; {
		n++
	}
	sink.Add(int64(n))
}

//go:noinline
func burnWorker(n int) (int, error) {
	burn(n)
	return n, nil
}

//go:noinline
func burnMaster() { burn(0) }

// untilTold runs until its context ends.
func untilTold(ctx context.Context, n int) (int, error) {
	burn(n)
	<-ctx.Done()
	return n, nil
}

// die is killed the first time.
func die(int) (int, error) { return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL) }

var (
	heavy = futures.Register("heavy", burnWorker)
	told  = futures.RegisterContext("told", untilTold)
	dies  = futures.Register("dies", die)
)

func main() {
	if os.Args[1] == "tests" {
		futures.TestMain(tests{})
	}
	futures.Main(run, futures.WithDrainGrace(time.Minute))
}

// tests stand for those of a test binary.
type tests struct{}

// Run is 0 if they pass.
func (tests) Run() int {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(ctx context.Context) error {
	how := os.Args[1]
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	if how != "open" {
		defer ex.Close()
	}
	if err := onAll(ctx, ex); err != nil {
		return err
	}
	burnMaster()
	switch how {
	case "fail":
		return errors.New("told to fail")
	case "term": // a drain: what runs may finish, and nothing begins
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		for {
			if err := onAll(ctx, ex); err != nil {
				return err
			}
		}
	case "int":
		f, err := futures.Submit(ex, told, 0)
		if err != nil {
			return err
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	case "kill":
		f, err := futures.Submit(ex, dies, 0)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		fmt.Println("lost:", errors.Is(err, futures.ErrBroken), err)
		return onAll(ctx, ex)
	}
	return nil
}

// onAll computes on every worker.
func onAll(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	all, err := futures.SubmitEach(ex, heavy, 0)
	if err != nil {
		return err
	}
	_, err = all.Result(ctx)
	return err
}
