// Command handle is a program with a binding of MPI of its own, which knows nothing but the names of MPI's functions: it finds them in
// the process, and calls them with the handles that package comm gives.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// call calls a function of MPI. An MPI_Comm of MPICH is an int: the lower half of the argument.
func call(name string, args ...uintptr) error {
	f, err := purego.Dlsym(purego.RTLD_DEFAULT, name)
	if err != nil {
		return err
	}
	if code, _, _ := purego.SyscallN(f, args...); int32(code) != 0 {
		return fmt.Errorf("%s returned %d", name, int32(code))
	}
	return nil
}

// ask returns the int that a function such as MPI_Comm_size finds.
func ask(name string, h comm.Handle) (int, error) {
	n := new(int32)
	err := call(name, h.Comm, uintptr(unsafe.Pointer(n)))
	runtime.KeepAlive(n)
	return int(*n), err
}

func describe(what string, h comm.Handle) (string, error) {
	size, err := ask("MPI_Comm_size", h)
	if err != nil {
		return "", err
	}
	rank, err := ask("MPI_Comm_rank", h)
	return fmt.Sprintf("%s %v rank %d of %d", what, h.ABI, rank, size), err
}

var binding = futures.RegisterContext("binding", func(ctx context.Context, _ int) ([]string, error) {
	workers, err := futures.CommWorkers(ctx)
	if err != nil {
		return nil, err
	}
	h, err := workers.Handle(ctx)
	if err != nil {
		return nil, err
	}
	again, err := workers.Handle(ctx)
	if err != nil || again != h {
		return nil, fmt.Errorf("a second time it is %v, not %v (%w)", again, h, err)
	}
	if err := call("MPI_Barrier", h.Comm); err != nil { // ends when all workers are in it
		return nil, err
	}
	of, err := describe("workers", h)
	if err != nil {
		return nil, err
	}
	if h, err = comm.WorldHandle(); err != nil {
		return nil, err
	}
	world, err := describe("world", h)
	return []string{of, world}, err
})

func run(ctx context.Context) error {
	_, before := comm.WorldHandle()
	err := futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		f, err := futures.SubmitEach(ex, binding, 0)
		if err != nil {
			return err
		}
		said, err := f.Result(ctx)
		for i, lines := range said {
			for _, line := range lines {
				fmt.Printf("worker %d: %s\n", i, line)
			}
		}
		return err
	})
	switch h, none := comm.WorldHandle(); {
	case none == nil:
		line, bad := describe("world", h)
		fmt.Println("master:", line)
		err = errors.Join(err, bad)
	case before == nil || !errors.Is(none, comm.ErrNoHandle):
		err = errors.Join(err, none)
	default:
		fmt.Println("master:", none)
	}
	return err
}

func main() {
	if _, err := comm.WorldHandle(); !errors.Is(err, comm.ErrNoHandle) {
		fmt.Println("before Main:", err)
		os.Exit(1)
	}
	futures.Main(run)
}
