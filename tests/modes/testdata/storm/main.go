// Command storm computes while all threads of all its processes, those of the MPI library too, are sent SIGURG and SIGWINCH, from the
// first moment to the last: while MPI is loaded, begins, works and ends. One that hangs shows all goroutines and ends after a while.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

var (
	square = futures.Register("square", func(n int) (int, error) { return n * n, nil })
	echo   = futures.Register("echo", func(b []byte) ([]byte, error) { return b, nil })

	// total adds the workers' signals up by messages among them.
	total = futures.RegisterContext("total", func(ctx context.Context, _ int) (int64, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return comm.Allreduce(ctx, c, sent.Load(), comm.Sum[int64])
	})
)

// sent is how many signals this process has sent itself.
var sent atomic.Int64

// storm sends signals to every thread but its own, and to the process, which the kernel has a thread of its choice take.
func storm() {
	runtime.LockOSThread()
	pid, own := os.Getpid(), unix.Gettid()
	for {
		threads, _ := filepath.Glob("/proc/self/task/*")
		for _, s := range []syscall.Signal{syscall.SIGURG, syscall.SIGWINCH} {
			for _, path := range threads {
				thread, err := strconv.Atoi(filepath.Base(path))
				if err != nil || thread == own {
					continue
				}
				if unix.Tgkill(pid, thread, s) == nil { // else it has ended
					sent.Add(1)
				}
			}
			if unix.Kill(pid, s) == nil {
				sent.Add(1)
			}
		}
		time.Sleep(20 * time.Microsecond) // the others need the processor too
	}
}

// patience is how long a run may last.
const patience = 2 * time.Minute

func run(ctx context.Context) error {
	large := bytes.Repeat([]byte("storm "), 200_000)
	err := futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		numbers := make([]int, 2000)
		for i := range numbers {
			numbers[i] = i
		}
		for range 5 {
			i := 0
			for got, err := range futures.Map(ctx, ex, square, numbers) {
				if err != nil {
					return err
				}
				if got != i*i {
					return fmt.Errorf("the square of %d is %d", i, got)
				}
				i++
			}
			if i != len(numbers) {
				return fmt.Errorf("%d squares of %d", i, len(numbers))
			}
			f, err := futures.Submit(ex, echo, large)
			if err != nil {
				return err
			}
			if got, err := f.Result(ctx); err != nil || !bytes.Equal(got, large) {
				return errors.Join(err, errors.New("the echo differs"))
			}
		}
		f, err := futures.SubmitEach(ex, total, 0)
		if err != nil {
			return err
		}
		got, err := f.Result(ctx)
		if err == nil {
			fmt.Printf("storm: %d signals in the workers, %d in the master\n", got[0], sent.Load())
		}
		return err
	})
	return err
}

func main() {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGWINCH) // as a program with a terminal does
	go func() {
		for range heard {
		}
	}()
	time.AfterFunc(patience, func() {
		debug.SetTraceback("all")
		panic("storm: it has not ended")
	})
	go storm()
	futures.Main(run)
}
