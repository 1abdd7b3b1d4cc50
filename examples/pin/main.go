// Command pin gives each worker one GPU and one core of its host: an initializer learns from Worker which of its host's workers it
// sets up, and chooses by that number.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/rankpool/rankpool/futures"
)

// visible is how CUDA is told which devices a process may use. It reads it when it is first called, so an initializer is early enough.
const visible = "CUDA_VISIBLE_DEVICES"

// pin sets a worker up. Workers that are processes or ranks get a device and a core each. Goroutines share one process, which has one
// environment and whose threads run any of them: then all devices stay visible, and a task chooses its own.
var pin = futures.RegisterContext("pin", func(ctx context.Context, gpus int) (struct{}, error) {
	if !futures.InWorker() {
		return struct{}{}, nil
	}
	w, err := futures.Worker(ctx)
	if err != nil {
		return struct{}{}, err
	}
	if err := os.Setenv(visible, strconv.Itoa(w.HostIndex%gpus)); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, pinCore(w.HostIndex)
})

// Report says what a worker has.
type Report struct {
	Worker futures.WorkerInfo
	GPU    string
	Cores  string
}

// work is where a task would use its device.
var work = futures.RegisterContext("work", func(ctx context.Context, gpus int) (Report, error) {
	w, err := futures.Worker(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{Worker: w, GPU: os.Getenv(visible), Cores: cores()}
	if !futures.InWorker() { // a goroutine: the device is an argument of what the task calls, cudaSetDevice for example
		r.GPU = strconv.Itoa(w.HostIndex % gpus)
	}
	return r, nil
})

func main() {
	gpus := flag.Int("gpus", 4, "how many GPUs each host has")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: pin [-gpus n]

Gives each worker one GPU, by CUDA_VISIBLE_DEVICES, and one core of its host, and prints which. Cores are pinned on Linux;
elsewhere the system chooses. Workers that are goroutines share all cores, and their tasks choose a GPU each.
RANKPOOL_BACKEND (auto, mpi, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.
`)
	}
	flag.Parse()
	futures.Main(func(ctx context.Context) error { return run(ctx, *gpus) })
}

func run(ctx context.Context, gpus int) error {
	if gpus < 1 {
		return fmt.Errorf("-gpus %d: a host must have one at least", gpus)
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		f, err := futures.SubmitEach(ex, work, gpus) // one task on every worker
		if err != nil {
			return err
		}
		reports, err := f.Result(ctx)
		if err != nil {
			return err
		}
		for _, r := range reports {
			fmt.Printf("worker %d of %d, %d of %d on %s: GPU %s, cores %s\n",
				r.Worker.Index, r.Worker.Count, r.Worker.HostIndex, r.Worker.HostCount, r.Worker.Host, r.GPU, r.Cores)
		}
		return nil
	}, futures.WithInitializer(pin, gpus))
}
