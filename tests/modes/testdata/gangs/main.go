// Command gangs has gangs of several sizes call MPI themselves, on communicators of their own: its first argument says what happens.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/mpi"
)

// members has all ranks of a communicator of MPI tell their workers' numbers, by MPI_Allgather.
func members(h comm.Handle, worker int) (all []byte, err error) {
	sizeOf, err := purego.Dlsym(purego.RTLD_DEFAULT, "MPI_Comm_size")
	if err != nil {
		return nil, err
	}
	gather, err := purego.Dlsym(purego.RTLD_DEFAULT, "MPI_Allgather")
	if err != nil {
		return nil, err
	}
	octet := uintptr(0x4c00010d)
	if h.ABI == comm.OpenMPI {
		if octet, err = purego.Dlsym(purego.RTLD_DEFAULT, "ompi_mpi_byte"); err != nil {
			return nil, err
		}
	}
	n := new(int32)
	if code, _, _ := purego.SyscallN(sizeOf, h.Comm, uintptr(unsafe.Pointer(n))); int32(code) != 0 {
		return nil, fmt.Errorf("MPI_Comm_size returned %d", int32(code))
	}
	mine := []byte{byte(worker)}
	all = make([]byte, *n)
	code, _, _ := purego.SyscallN(gather, uintptr(unsafe.Pointer(&mine[0])), 1, octet, uintptr(unsafe.Pointer(&all[0])), 1, octet, h.Comm)
	runtime.KeepAlive(n)
	if runtime.KeepAlive(mine); int32(code) != 0 {
		return nil, fmt.Errorf("MPI_Allgather returned %d", int32(code))
	}
	return all, nil
}

// same has MPI and package comm tell who is in a communicator, several times, and compares.
func same(ctx context.Context, c *comm.Comm, worker int) error {
	for range 3 {
		h, err := c.Handle(ctx)
		if err != nil {
			return err
		}
		of, err := members(h, worker)
		if err != nil {
			return err
		}
		want, err := comm.Allgather(ctx, c, byte(worker))
		if err != nil {
			return err
		}
		if !slices.Equal(of, want) {
			return fmt.Errorf("%v has the workers %v to MPI, and %v to package comm", c, of, want)
		}
	}
	return nil
}

// task is what a member of a gang does, with the gang's communicator and the number of its worker.
type task func(ctx context.Context, c *comm.Comm, worker int, dir string) (int, error)

func register(name string, f task) futures.Func[string, int] {
	return futures.RegisterContext(name, func(ctx context.Context, dir string) (int, error) {
		w, err := futures.Worker(ctx)
		if err != nil {
			return 0, err
		}
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return f(ctx, c, w.Index, dir)
	})
}

var (
	agree = register("agree", func(ctx context.Context, c *comm.Comm, worker int, _ string) (int, error) {
		return c.Size(), same(ctx, c, worker)
	})

	// divided has communicators of Split and Dup, in each of which MPI knows the same ranks in the same order.
	divided = register("divided", func(ctx context.Context, c *comm.Comm, worker int, _ string) (int, error) {
		d, err := c.Dup(ctx)
		if err != nil {
			return 0, err
		}
		back, err := c.Split(ctx, 0, -c.Rank())
		if err != nil {
			return 0, err
		}
		parts, err := c.Split(ctx, c.Rank()%2, 0)
		if err != nil {
			return 0, err
		}
		for _, c := range []*comm.Comm{d, back, parts, back} {
			if err := same(ctx, c, worker); err != nil {
				return 0, err
			}
		}
		return parts.Size(), nil
	})

	// meet is over when there are as many gangs as the folder's name says that have made their communicators, and then uses its own.
	meet = register("meet", func(ctx context.Context, c *comm.Comm, worker int, dir string) (int, error) {
		if err := same(ctx, c, worker); err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return 0, err
		}
		if err := await(ctx, dir, fmt.Sprint(worker), n); err != nil {
			return 0, err
		}
		return 1, same(ctx, c, worker)
	})

	// leaves has rank 1 return, or fail, without asking for the communicator.
	leaves = register("leaves", func(ctx context.Context, c *comm.Comm, _ int, how string) (int, error) {
		switch {
		case c.Rank() != 1:
			_, err := c.Handle(ctx)
			return 0, err
		case how == "fails":
			return 0, errors.New("told to fail")
		}
		return 0, nil
	})

	// impatient has rank 0 ask for a moment alone, and then together with the others.
	impatient = register("impatient", func(ctx context.Context, c *comm.Comm, worker int, _ string) (int, error) {
		if c.Rank() == 0 {
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			if _, err := c.Handle(short); !errors.Is(err, context.DeadlineExceeded) {
				return 0, fmt.Errorf("alone it got %w", err)
			}
		}
		if err := c.Barrier(ctx); err != nil {
			return 0, err
		}
		return c.Size(), same(ctx, c, worker)
	})

	// early has rank 1 die while the others wait for it to ask.
	early = register("early", func(ctx context.Context, c *comm.Comm, _ int, dir string) (int, error) {
		if c.Rank() == 1 {
			if err := await(ctx, dir, "1", c.Size()); err != nil {
				return 0, err
			}
			return 0, die()
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(c.Rank())), nil, 0o600); err != nil {
			return 0, err
		}
		_, err := c.Handle(ctx)
		return 0, err
	})

	// stuck has rank 1 die while the others wait for it in MPI.
	stuck = register("stuck", func(ctx context.Context, c *comm.Comm, worker int, dir string) (int, error) {
		h, err := c.Handle(ctx)
		if err != nil {
			return 0, err
		}
		if c.Rank() == 1 {
			if err := await(ctx, dir, "1", c.Size()); err != nil {
				return 0, err
			}
			return 0, die()
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(c.Rank())), nil, 0o600); err != nil {
			return 0, err
		}
		_, err = members(h, worker)
		return 0, err
	})

	// outlives is over when the file "lost" is there, and uses its communicator before and after.
	outlives = register("outlives", func(ctx context.Context, c *comm.Comm, worker int, dir string) (int, error) {
		if err := same(ctx, c, worker); err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("has-", worker)), nil, 0o600); err != nil {
			return 0, err
		}
		if err := await(ctx, dir, "", 1); err != nil {
			return 0, err
		}
		return c.Size(), same(ctx, c, worker)
	})

	// dies has rank 1 die while the others wait for its message.
	dies = register("dies", func(ctx context.Context, c *comm.Comm, _ int, _ string) (int, error) {
		if c.Rank() == 1 {
			return 0, die()
		}
		return comm.Recv[int](ctx, c, 1, 0)
	})

	sums = register("sums", func(ctx context.Context, c *comm.Comm, _ int, _ string) (int, error) {
		return comm.Allreduce(ctx, c, c.Rank(), comm.Sum[int])
	})

	// crash ends its process.
	crash = futures.Register("crash", func(int) (int, error) { return 0, die() })

	// live is how many communicators this process has.
	live = futures.Register("live", func(int) (int, error) { return mpi.LiveComms(), nil })
)

func die() error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {}
}

// await makes a file, unless its name is empty, and waits until there are n whose name is a number, or "lost".
func await(ctx context.Context, dir, name string, n int) error {
	if name != "" {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return err
		}
	}
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		there := 0
		for _, f := range files {
			if _, err := strconv.Atoi(f.Name()); err == nil || f.Name() == "lost" {
				there++
			}
		}
		if there >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

func gang(ex futures.Executor, f futures.Func[string, int], arg string, k int) (*futures.Future[[]int], error) {
	if k == 0 {
		return futures.SubmitEach(ex, f, arg)
	}
	return futures.SubmitEach(ex, f, arg, futures.OnWorkers(k))
}

// all has gangs of these sizes, 0 for one of all workers, and waits for them.
func all(ctx context.Context, ex futures.Executor, f futures.Func[string, int], arg string, sizes ...int) error {
	var waiting []*futures.Future[[]int]
	for _, k := range sizes {
		g, err := gang(ex, f, arg, k)
		if err != nil {
			return err
		}
		waiting = append(waiting, g)
	}
	for i, g := range waiting {
		if _, err := g.Result(ctx); err != nil {
			return fmt.Errorf("gang %d of %d: %w", i, sizes[i], err)
		}
	}
	return nil
}

func lives(ctx context.Context, ex futures.Executor) ([]int, error) {
	f, err := futures.SubmitEach(ex, live, 0)
	if err != nil {
		return nil, err
	}
	return f.Result(ctx)
}

func sideBySide(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	if err := all(ctx, ex, agree, "", 0); err != nil { // that of all workers is kept
		return err
	}
	before, err := lives(ctx, ex)
	if err != nil {
		return err
	}
	other, err := futures.NewMPIPoolExecutor() // in a world it has the same ranks
	if err != nil {
		return err
	}
	defer other.Close()
	theirs := make(chan error, 1)
	go func() { theirs <- all(ctx, other, agree, "", 2, 3, 2, 2, 3, 1) }()
	var sizes []int
	for range 10 {
		sizes = append(sizes, 2, 3, 1, 4, 0, 2, 2)
	}
	err = all(ctx, ex, agree, "", sizes...)
	if err = errors.Join(err, <-theirs); err != nil {
		return err
	}
	fmt.Println("all gangs were right")
	if err := all(ctx, ex, divided, "", 3, 2, 0, 4); err != nil {
		return err
	}
	fmt.Println("all parts were right")
	if err := all(ctx, ex, impatient, "", 3); err != nil {
		return err
	}
	dir := filepath.Join(os.Args[2], "4")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := all(ctx, ex, meet, dir, 2, 2); err != nil {
		return err
	}
	fmt.Println("two gangs had theirs at the same time")
	after, err := lives(ctx, ex)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) {
		return fmt.Errorf("communicators of each worker: before %v, after %v", before, after)
	}
	fmt.Println("all were freed")
	return nil
}

func leavers(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	for _, how := range []string{"returns", "fails"} {
		fmt.Printf("%s: %v\n", how, all(ctx, ex, leaves, how, 3))
	}
	if err := all(ctx, ex, agree, "", 3, 2); err != nil {
		return err
	}
	fmt.Println("the next gangs were right")
	return nil
}

func losesEarly(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	err := all(ctx, ex, early, os.Args[2], 2)
	fmt.Println("early:", errors.Is(err, futures.ErrBroken), strings.Split(err.Error(), "\n")[0])
	return goesOn(ctx, ex)
}

// goesOn says what becomes of a gang after a loss.
func goesOn(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	fmt.Println("then:", all(ctx, ex, agree, "", 2))
	return nil
}

func losesStuck(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	err := all(ctx, ex, stuck, os.Args[2], 2)
	fmt.Println("stuck:", err)
	return goesOn(ctx, ex)
}

func losesAnother(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	return beside(ctx, ex, func() error {
		f, err := futures.Submit(ex, crash, 0)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		fmt.Println("crash:", errors.Is(err, futures.ErrBroken))
		return nil
	})
}

func losesOfAnother(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	err := beside(ctx, ex, func() error {
		err := all(ctx, ex, dies, "", 2)
		fmt.Println("a gang that talks by package comm alone:", errors.Is(err, futures.ErrBroken), strings.Split(fmt.Sprint(err), "\n")[0])
		return nil
	})
	if err != nil {
		return err
	}
	f, err := gang(ex, sums, "", 3)
	if err != nil {
		return err
	}
	n, err := f.Result(ctx)
	fmt.Println("the next gang:", n, err)
	return nil
}

// beside has a gang of two hold a communicator of MPI while others lose a worker.
func beside(ctx context.Context, ex *futures.MPIPoolExecutor, lose func() error) error {
	g, err := gang(ex, outlives, os.Args[2], 2)
	if err != nil {
		return err
	}
	for {
		has, err := filepath.Glob(filepath.Join(os.Args[2], "has-*"))
		if err != nil {
			return err
		}
		if len(has) == 2 {
			break
		}
		if g.Done() {
			_, err := g.Result(ctx)
			return fmt.Errorf("the gang of two is over: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
	if err := lose(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(os.Args[2], "lost"), nil, 0o600); err != nil {
		return err
	}
	n, err := g.Result(ctx)
	fmt.Println("the gang of two others:", n, err)
	return nil
}

func slots(ctx context.Context, ex *futures.MPIPoolExecutor) error {
	n, err := ex.NumWorkers(ctx)
	fmt.Println("slots:", n, err)
	fmt.Println("of all:", all(ctx, ex, agree, "", 0))
	f, err := gang(ex, halves, "", 0)
	if err != nil {
		return err
	}
	of, err := f.Result(ctx)
	fmt.Println("of one slot of each:", of, err)
	return nil
}

// halves has a communicator of the first slot of each rank, and one of the second.
var halves = register("halves", func(ctx context.Context, c *comm.Comm, worker int, _ string) (int, error) {
	half, err := c.Split(ctx, c.Rank()%2, 0)
	if err != nil {
		return 0, err
	}
	return half.Size(), same(ctx, half, worker)
})

var acts = map[string]func(context.Context, *futures.MPIPoolExecutor) error{
	"side by side": sideBySide, "leavers": leavers, "early": losesEarly, "stuck": losesStuck, "another": losesAnother, "of another": losesOfAnother, "slots": slots,
}

func main() {
	futures.Main(func(ctx context.Context) error {
		return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error { return acts[os.Args[1]](ctx, ex) })
	})
}
