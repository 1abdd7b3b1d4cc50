// Command profiling begins a CPU profile before Main, as the documentation of runtime/pprof has it, into the file that its argument names.
// With a second argument it fails.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"runtime/pprof"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// burn computes for so long, and for more samples than one however little of a processor it has meanwhile.
func burn(d time.Duration) (n int, err error) {
	const least = 3_000_000
	for end := time.Now().Add(d); time.Now().Before(end) || n < least; {
		n++
	}
	return n, nil
}

var heavy = futures.Register("heavy", burn)

func main() {
	f, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		log.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	futures.Main(run)
}

func run(ctx context.Context) error {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	defer ex.Close()
	all, err := futures.SubmitEach(ex, heavy, 200*time.Millisecond)
	if err != nil {
		return err
	}
	if _, err := burnHere(); err != nil {
		return err
	}
	if _, err := all.Result(ctx); err != nil {
		return err
	}
	if len(os.Args) > 2 {
		return errors.New("told to fail")
	}
	return nil
}

//go:noinline
func burnHere() (int, error) { return burn(time.Second) }
