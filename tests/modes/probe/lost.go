//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// What is done here to a job's ranks is done on purpose; package modes looks at what the job says then.
func init() {
	for name, act := range map[string]func(context.Context) error{
		"loselong": loseLong, "losebatch": loseBatch, "loseall": loseAll, "pauses": pauses, "losegang": loseGang,
		"losemap": loseMap, "signalled": signalled, "cutoff": cutOff, "losedrain": loseDrain,
		"loseexit": loseExit, "loseslots": loseSlots,
	} {
		acts[name] = act
	}
}

var (
	// hold says that it runs, and runs until it is told to go.
	hold = futures.Register("hold", holdIn)

	// compute uses a processor for so many rounds and calls nothing meanwhile.
	compute = futures.Register("compute", func(rounds int) (uint64, error) {
		x := uint64(1)
		for i := range rounds {
			x = x*6364136223846793005 + uint64(i)
		}
		return x, nil
	})

	// gather waits for what all workers have; the one whose process is named dies before.
	gather = futures.RegisterContext("gather", func(ctx context.Context, dir string) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		if c.Rank() == 1 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
				return 0, err
			}
			select {}
		}
		return comm.Allreduce(ctx, c, 1, comm.Sum[int])
	})
)

// convert takes longer than what is sent ahead of time. The element 5 ends its process, as a library that crashes does.
var convert = futures.Register("convert", func(x int) (int, error) {
	time.Sleep(20 * time.Millisecond)
	if x == 5 {
		kill(os.Getpid())
		select {}
	}
	return x * x, nil
})

// exitOnce ends its process in the run that makes the file, and says in a later one how often it has begun.
var exitOnce = futures.RegisterContext("exitOnce", func(ctx context.Context, path string) (int, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		f.Close()
		os.Exit(3)
	}
	w, err := futures.Worker(ctx)
	return w.Attempt, err
})

// loseExit loses a worker to a task that ends its process, and another one to a task that may run again.
// A hook counts them.
func loseExit(ctx context.Context) error {
	var workers, tasks int
	told := make(chan struct{})
	ex := executor(futures.WithHooks(func(_ context.Context, b *futures.HookBatch) {
		for _, w := range b.Workers {
			if w.Phase == futures.WorkerLost {
				workers++
			}
		}
		for _, t := range b.Ended {
			if t.Outcome == futures.TaskLost {
				tasks++
			}
		}
		if b.Last {
			close(told)
		}
	}))
	defer ex.Close()
	_, err := submit(ex, exitOnce, filepath.Join(*dir, "once")).Result(ctx)
	fmt.Println("the task that exits is lost:", errors.Is(err, futures.ErrBroken), err)
	n, err := ex.NumWorkers(ctx)
	fmt.Println("workers:", n, err)
	f, err := futures.Submit(ex, exitOnce, filepath.Join(*dir, "again"), futures.WithRetries(1))
	if err != nil {
		return err
	}
	attempt, err := f.Result(ctx)
	n, wrong := ex.NumWorkers(ctx)
	fmt.Println("with a retry: attempt", attempt, err, "workers:", n, wrong, "retried:", ex.Stats().Retried)
	_ = ex.Close()
	<-told
	fmt.Println("hooks:", workers, "workers and", tasks, "tasks were lost")
	return nil
}

// neighbours says which rank it is, of how many, what they are in all, and which two are beside it.
var neighbours = futures.RegisterContext("neighbours", func(ctx context.Context, _ int) ([5]int, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return [5]int{}, err
	}
	n, r := c.Size(), c.Rank()
	sum, err := comm.Allreduce(ctx, c, r, comm.Sum[int])
	if err != nil {
		return [5]int{}, err
	}
	for _, to := range []int{(r + 1) % n, (r + n - 1) % n} {
		if err := comm.Send(ctx, c, r, to, 7); err != nil {
			return [5]int{}, err
		}
	}
	before, err := comm.Recv[int](ctx, c, (r+n-1)%n, 7)
	if err != nil {
		return [5]int{}, err
	}
	after, err := comm.Recv[int](ctx, c, (r+1)%n, 7)
	return [5]int{r, n, sum, before, after}, err
})

// atWork waits until n tasks hold in a directory and returns their processes.
func atWork(ctx context.Context, dir string, n int) (pids []int, err error) {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		pids = pids[:0]
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil {
				pids = append(pids, pid)
			}
		}
		if len(pids) >= n {
			return pids, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

func kill(pid int) { send(pid, syscall.SIGKILL) }

func send(pid int, s syscall.Signal) {
	if err := syscall.Kill(pid, s); err != nil {
		panic(err)
	}
}

// fate waits for a task and says what became of it.
func fate(ctx context.Context, what string, f interface {
	Result(context.Context) (int, error)
}) error {
	begin := time.Now()
	v, err := f.Result(ctx)
	late := time.Since(begin).Round(time.Millisecond)
	switch broken := new(futures.BrokenError); {
	case err == nil:
		fmt.Printf("%s: done\n", what)
		return nil
	case errors.As(err, &broken):
		fmt.Printf("%s: lost %v with worker %d, process %d, after %v: %v\n", what, errors.Is(err, futures.ErrBroken), broken.Worker, broken.Pid, late, err)
		return nil
	default:
		return fmt.Errorf("%s: %d, %w", what, v, err)
	}
}

// seeOut lets the long tasks end, prints what became of them, and checks that what was queued behind them is done.
func seeOut(ctx context.Context, held, queued []*futures.Future[int]) error {
	if err := os.WriteFile(filepath.Join(*dir, "go"), nil, 0o600); err != nil {
		return err
	}
	for i, f := range held {
		if err := fate(ctx, fmt.Sprint("long task ", i), f); err != nil {
			return err
		}
	}
	for i, f := range queued {
		if v, err := f.Result(ctx); err != nil || v != i+1 {
			return fmt.Errorf("queued task %d: %d, %w", i, v, err)
		}
	}
	return nil
}

// loseOne loses the second of three workers in the middle of long tasks, with others queued behind them, and sees these out.
// It returns the processes that the workers were.
func loseOne(ctx context.Context, ex futures.Executor) (pids []int, err error) {
	var held, queued []*futures.Future[int]
	for range 3 {
		held = append(held, submit(ex, hold, *dir))
	}
	for i := range 200 {
		queued = append(queued, submit(ex, add, i))
	}
	if pids, err = atWork(ctx, *dir, 3); err != nil {
		return nil, err
	}
	fmt.Println("killed:", pids[1])
	kill(pids[1])
	if _, _, err := futures.Wait(ctx, held, futures.FirstCompleted); err != nil {
		return nil, err
	}
	return pids, seeOut(ctx, held, queued)
}

// loseLong loses a worker in the middle of a long task, and then one that has nothing to do.
func loseLong(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	pids, err := loseOne(ctx, ex)
	if err != nil {
		return err
	}
	n, err := ex.NumWorkers(ctx)
	fmt.Println("queued: done, workers:", n, err)
	kill(pids[2])
	for i := 0; ex.Stats().Lost < 2 || i < 100; i++ {
		if err := fateOfTiny(ctx, submit(ex, add, i), i+1); err != nil {
			return err
		}
	}
	n, err = ex.NumWorkers(ctx)
	s := ex.Stats()
	fmt.Println("after the idle one: workers:", n, err, "failed:", s.Failed, "lost:", s.Lost)
	return nil
}

// loseSlots loses a rank whose two slots both run long tasks, with others queued behind them, and sees the rest out.
func loseSlots(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	fmt.Println("slots:", n)
	var held, queued []*futures.Future[int]
	for i := range n {
		held = append(held, submit(ex, holdBeside, beside{*dir, i}))
	}
	for i := range 200 {
		queued = append(queued, submit(ex, add, i))
	}
	pids, err := atWork(ctx, *dir, n/2)
	if err != nil {
		return err
	}
	if err := allAtWork(ctx, *dir, n); err != nil {
		return err
	}
	fmt.Println("killed:", pids[1])
	kill(pids[1])
	if _, _, err := futures.Wait(ctx, held, futures.FirstCompleted); err != nil {
		return err
	}
	if err := seeOut(ctx, held, queued); err != nil {
		return err
	}
	n, err = ex.NumWorkers(ctx)
	s := ex.Stats()
	fmt.Println("queued: done, workers:", n, err, "failed:", s.Failed, "lost:", s.Lost)
	return nil
}

// beside is a long task that runs beside others in its process.
type beside struct {
	Dir string
	I   int
}

func holdIn(dir string) (int, error) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
			return os.Getpid(), nil
		}
		time.Sleep(time.Millisecond)
	}
}

// holdBeside is hold, and says of each task that it runs.
var holdBeside = futures.Register("holdBeside", func(b beside) (int, error) {
	if err := os.WriteFile(filepath.Join(b.Dir, fmt.Sprint("task-", b.I)), nil, 0o600); err != nil {
		return 0, err
	}
	return holdIn(b.Dir)
})

func allAtWork(ctx context.Context, dir string, n int) error {
	for i := 0; i < n; {
		if _, err := os.Stat(filepath.Join(dir, fmt.Sprint("task-", i))); err == nil {
			i++
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func fateOfTiny(ctx context.Context, f *futures.Future[int], want int) error {
	switch v, err := f.Result(ctx); {
	case errors.Is(err, futures.ErrBroken):
		return nil
	case err != nil || v != want:
		return fmt.Errorf("a tiny task: %d, %w, want %d", v, err, want)
	}
	return nil
}

// loseBatch loses two workers in the middle of tiny tasks.
func loseBatch(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	pids, err := workers(ctx, ex)
	if err != nil {
		return err
	}
	var all []*futures.Future[int]
	for i := range *tasks {
		all = append(all, submit(ex, add, i))
		if i == *tasks/4 {
			for ex.Stats().Done < uint64(*tasks/20) {
				time.Sleep(time.Millisecond)
			}
			kill(pids[0])
			kill(pids[1])
		}
	}
	lost := 0
	for i, f := range all {
		switch v, err := f.Result(ctx); {
		case errors.Is(err, futures.ErrBroken):
			lost++
			if lost < 3 {
				fmt.Println(err)
			}
		case err != nil || v != i+1:
			return fmt.Errorf("task %d: %d, %w", i, v, err)
		}
	}
	n, err := ex.NumWorkers(ctx)
	s := ex.Stats()
	fmt.Printf("tasks lost: %d, workers lost: %d, workers: %d %v, counted: %v\n", lost, s.Lost, n, err,
		int(s.Failed) == lost && int(s.Done) == *tasks-lost+3)
	return nil
}

// loseMap has an element of a map end its worker: of one that yields, and of one that returns all.
func loseMap(ctx context.Context) error {
	p, err := pool.New(pool.WithProcesses(3))
	if err != nil {
		return err
	}
	defer p.Terminate()
	var xs [40]int
	for i := range xs {
		xs[i] = i
	}
	told := 0
	for y, err := range pool.Imap(ctx, p, convert, xs[:]) {
		if e, ok := errors.AsType[*futures.ElementError](err); ok {
			fmt.Println("element", e.Index, "of", told, "is lost:", errors.Is(err, futures.ErrBroken))
		} else if err != nil || y != told*told {
			return fmt.Errorf("element %d: %d, %w", told, y, err)
		}
		told++
	}
	ys, err := pool.Map(ctx, p, convert, xs[:], pool.KeepGoing(), pool.WithChunkSize(1))
	all, _ := errors.AsType[futures.ElementErrors](err)
	right := 0
	for i, y := range ys {
		if i > 0 && y == i*i {
			right++
		}
	}
	fmt.Println("yielded", told, "returned", len(ys), "right", right, "errors", len(all), errors.Is(err, futures.ErrBroken))
	return nil
}

// workers returns the processes of all workers.
func workers(ctx context.Context, ex *futures.MPIPoolExecutor) (pids []int, err error) {
	if err := ex.Bootup(ctx); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(*dir, "workers-")
	if err != nil {
		return nil, err
	}
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return nil, err
	}
	var all []*futures.Future[int]
	for range n {
		all = append(all, submit(ex, hold, dir))
	}
	if _, err := atWork(ctx, dir, n); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		return nil, err
	}
	for _, f := range all {
		pid, err := f.Result(ctx)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// loseAll loses all workers together.
func loseAll(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	var held []*futures.Future[int]
	for range 5 {
		held = append(held, submit(ex, hold, *dir))
	}
	pids, err := atWork(ctx, *dir, 3)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		kill(pid)
	}
	for i, f := range held {
		if err := fate(ctx, fmt.Sprint("task ", i), f); err != nil {
			return err
		}
	}
	_, err = futures.Submit(ex, add, 1)
	fmt.Println("broken:", errors.Is(err, futures.ErrBroken))
	return nil
}

// pauses has workers that say nothing for a while: they compute, are stopped for a moment, and are stopped for longer than
// the executor bears.
func pauses(ctx context.Context) error {
	const liveness = 4 * time.Second // long for ranks that only wait for their turn on a busy machine
	ex := executor(futures.WithLiveness(liveness))
	defer ex.Close()
	rounds := 1 << 26
	for took := time.Duration(0); took < 2*liveness; rounds *= 2 {
		begin := time.Now()
		var all []*futures.Future[uint64]
		for range 3 {
			all = append(all, submit(ex, compute, rounds))
		}
		for _, f := range all {
			if _, err := f.Result(ctx); err != nil {
				return err
			}
		}
		took = time.Since(begin)
	}
	fmt.Println("long computations: done")
	for _, pause := range []time.Duration{liveness / 2, 3 * liveness} {
		dir := must(os.MkdirTemp(*dir, "stopped-"))
		var held []*futures.Future[int]
		for range 3 {
			held = append(held, submit(ex, hold, dir))
		}
		pids, err := atWork(ctx, dir, 3)
		if err != nil {
			return err
		}
		send(pids[0], syscall.SIGSTOP)
		first, cancel := context.WithTimeout(ctx, pause) // how long it is stopped is what this is about
		done, _, err := futures.Wait(first, held, futures.FirstCompleted)
		cancel()
		fmt.Println("stopped for", pause, "noticed:", len(done), err)
		send(pids[0], syscall.SIGCONT)
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			return err
		}
		for i, f := range held {
			if err := fate(ctx, fmt.Sprintf("stopped for %v: task %d", pause, i), f); err != nil {
				return err
			}
		}
	}
	v, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("then:", v, err)
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// loseGang loses a worker that the others wait for in a collective.
func loseGang(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	all, err := futures.SubmitEach(ex, gather, *dir)
	if err != nil {
		return err
	}
	pids, err := atWork(ctx, *dir, 1)
	if err != nil {
		return err
	}
	kill(pids[0])
	_, err = all.Result(ctx)
	fmt.Println("gang broken:", errors.Is(err, futures.ErrBroken), err)
	v, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("then:", v, err)
	n, err := ex.NumWorkers(ctx)
	fmt.Println("workers:", n, err)
	for range 2 {
		each, err := futures.SubmitEach(ex, neighbours, 0)
		if err != nil {
			return err
		}
		got, err := each.Result(ctx)
		fmt.Println("survivors:", got, err)
	}
	return nil
}
