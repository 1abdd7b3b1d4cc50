//go:build unix

// Command probe does, under whatever it is started with, what one test of package modes looks at.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	add = futures.Register("add", func(x int) (int, error) { return x + 1, nil })

	echo = futures.Register("echo", func(x []float64) ([]float64, error) { return x, nil })

	fail = futures.Register("fail", func(string) (int, error) { return 0, errors.New("told to fail") })

	dereference = futures.Register("dereference", func(int) (int, error) {
		var p *int
		return *p, nil
	})

	// touch leaves a file, so that one can see later that it ran.
	touch = futures.Register("touch", func(path string) (int, error) {
		time.Sleep(time.Millisecond)
		return 0, os.WriteFile(path, nil, 0o600)
	})

	// once succeeds in the first process that calls it, and fails in the others.
	once = futures.Register("once", func(path string) (int, error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, errors.New("not on this one")
		}
		return 0, f.Close()
	})

	outside = futures.Register("outside", func(int) (int, error) {
		go panic("outside of a task")
		select {}
	})

	stop = futures.Register("stop", func(int) (int, error) {
		err := syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Hour) // the signal takes its time
		return 0, err
	})

	getenv = futures.Register("getenv", func(name string) (string, error) { return os.Getenv(name), nil })

	getwd = futures.Register("getwd", func(int) (string, error) { return os.Getwd() })

	sleep = futures.Register("sleep", func(d time.Duration) (int, error) {
		time.Sleep(d)
		return 0, nil
	})
)

var (
	dir   = flag.String("dir", ".", "`directory` for files")
	tasks = flag.Int("tasks", 1_000_000, "`number` of tasks")

	liveness = flag.Duration("liveness", time.Minute, "how long a worker may be silent")
	patient  = flag.Bool("patient", false, "end when told")
	drains   = flag.Bool("drains", false, "drain at SIGUSR1")
)

var acts = map[string]func(context.Context) error{
	"idle": func(context.Context) error { return nil }, "error": queued, "panic": queued, "status": queued, "nil": segfault, "init": initializer,
	"many": many, "rank": rank, "usr1": usr1, "outside": crash, "silent": silent, "quiet": quiet, "env": environment,
	"rate": rate, "trips": trips, "echo": echoes, "forgets": forgets,
}

func main() {
	if os.Getenv("PROBE_EARLY") != "" {
		if _, err := futures.NewMPIPoolExecutor(); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	var opts []futures.MainOption
	if *drains {
		opts = append(opts, futures.DrainOn(syscall.SIGUSR1))
	}
	futures.Main(func(ctx context.Context) error {
		act := acts[flag.Arg(0)]
		if act == nil {
			return fmt.Errorf("probe: no act %q", flag.Arg(0))
		}
		return act(ctx)
	}, opts...)
}

func executor(opts ...futures.Option) *futures.MPIPoolExecutor {
	ex, err := futures.NewMPIPoolExecutor(opts...)
	if err != nil {
		panic(err)
	}
	return ex
}

func submit[A, R any](ex futures.Executor, fn futures.Func[A, R], arg A) *futures.Future[R] {
	f, err := futures.Submit(ex, fn, arg)
	if err != nil {
		panic(err)
	}
	return f
}

// forgets returns with work in the queue.
func forgets(context.Context) error {
	ex := executor()
	for i := range 20 {
		submit(ex, touch, filepath.Join(*dir, fmt.Sprint(i)))
	}
	return nil
}

// queued ends badly with work in the queue.
func queued(context.Context) error {
	ex := executor()
	for range 100 {
		submit(ex, sleep, 200*time.Millisecond)
	}
	for i := range 50 { // no worker is so far before the queue is dropped
		submit(ex, touch, filepath.Join(*dir, fmt.Sprint(i)))
	}
	switch flag.Arg(0) {
	case "panic":
		panic("told to panic")
	case "status":
		return status(3)
	}
	return errors.New("told to fail")
}

// status is an error that says how the program is to end.
type status int

func (s status) Error() string { return fmt.Sprint("told to end with ", int(s)) }
func (s status) ExitCode() int { return int(s) }

func segfault(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	_, err := submit(ex, dereference, 0).Result(ctx)
	p := new(futures.PanicError)
	fmt.Println("panic:", errors.As(err, &p), err)
	v, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("then:", v, err)
	return nil
}

func initializer(ctx context.Context) error {
	ex := executor(futures.WithInitializer(once, filepath.Join(*dir, "once")))
	defer ex.Close()
	_, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("broken:", errors.Is(err, futures.ErrBroken), err)
	n, err := ex.NumWorkers(ctx)
	fmt.Println("workers:", n, err)
	second := executor()
	defer second.Close()
	v, err := submit(second, add, 1).Result(ctx)
	fmt.Println("a second executor:", v, err)
	return nil
}

// many has executors at work together, beside one that is idle.
func many(ctx context.Context) error {
	idle := executor()
	defer idle.Close()
	if err := idle.Bootup(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, 16)
	for i := range cap(errs) {
		all.Go(func() {
			ex := executor(futures.WithMaxWorkers(1 + i))
			defer ex.Close()
			for round := range 128 {
				if v, err := submit(ex, add, 1000*i+round).Result(ctx); err != nil || v != 1000*i+round+1 {
					errs <- fmt.Errorf("executor %d, round %d: %d, %w", i, round, v, err)
					return
				}
			}
			n, err := ex.NumWorkers(ctx)
			if err == nil {
				fmt.Printf("executor %d has %d workers\n", i, n)
			}
			errs <- err
		})
	}
	all.Wait()
	for range cap(errs) {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func rank(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	for range n {
		_, err := submit(ex, fail, "").Result(ctx)
		remote := new(futures.RemoteError)
		fmt.Printf("failed: %v, worker %d is rank %d\n", errors.As(err, &remote), remote.Worker, remote.Rank)
	}
	return nil
}

func usr1(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	for range 20 {
		if _, err := submit(ex, add, 1).Result(ctx); err != nil {
			return err
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			return err
		}
		fmt.Println(<-got)
	}
	return nil
}

func crash(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	_, err := submit(ex, outside, 0).Result(ctx)
	return err
}

func silent(ctx context.Context) error {
	ex := executor(futures.WithLiveness(3 * time.Second))
	defer ex.Close()
	_, err := submit(ex, stop, 0).Result(ctx)
	fmt.Println("broken:", errors.Is(err, futures.ErrBroken), err)
	v, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("the other one:", v, err)
	n, err := ex.NumWorkers(ctx)
	fmt.Println("workers:", n, err)
	return nil
}

// quiet measures what an executor costs whose workers have nothing to do.
func quiet(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	if _, err := submit(ex, add, 1).Result(ctx); err != nil {
		return err
	}
	idle := time.Hour
	for range 4 { // a start that goes on for a while is in the first of these seconds, what an idle executor does is in all
		begin := used()
		time.Sleep(time.Second)
		idle = min(idle, used()-begin)
	}
	f := submit(ex, sleep, time.Second)
	begin, since := used(), time.Now()
	if _, err := f.Result(ctx); err != nil {
		return err
	}
	waiting := (used() - begin).Seconds() / max(time.Since(since).Seconds(), 1) // in a second: the worker may be late
	fmt.Printf("idle %d us, waiting %d us\n", idle.Microseconds(), int(1e6*waiting))
	return nil
}

// used is the processor time of this process so far.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func environment(ctx context.Context) error {
	for i := range 2 {
		name := fmt.Sprintf("PROBE_%d", i)
		dir, err := filepath.EvalSymlinks(os.TempDir())
		if err != nil {
			return err
		}
		if dir, err = os.MkdirTemp(dir, name); err != nil {
			return err
		}
		defer os.Remove(dir)
		ex := executor(futures.WithEnv(map[string]string{name: "set"}), futures.WithDir(dir))
		v, err := submit(ex, getenv, name).Result(ctx)
		at, wrong := submit(ex, getwd, 0).Result(ctx)
		fmt.Printf("executor %d: %q %v, in its directory: %v %v\n", i, v, err, at == dir, wrong)
		if err := ex.Close(); err != nil {
			return err
		}
	}
	return nil
}
