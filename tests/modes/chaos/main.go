//go:build unix

// Command chaos keeps a ledger of many tasks of all verbs and sizes while their workers are killed, stopped and crash at
// random, and checks at the end that every task was told exactly once what became of it, that none ran twice, and that nothing
// is left of all of it. Package modes runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/pool"
)

var (
	dir     = flag.String("dir", ".", "`directory` in which every process writes down what it runs")
	tasks   = flag.Int("tasks", 20_000, "`number` of tasks")
	kills   = flag.Int("kills", 20, "`number` of workers to kill; as many are stopped for a while")
	crashes = flag.Int("crashes", 10, "`number` of tasks that end their worker")
	replace = flag.Bool("replaced", true, "lost workers are replaced")
	cost    = flag.Int("cost", 1, "how many `tasks` a lost worker may cost")
	seed    = flag.Uint64("seed", 0, "what happens; 0 chooses")
)

func main() {
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Println("seed", *seed)
	l := newLedger(*tasks)
	const warming = 2000
	// Some of each verb in a pool of their own, so that what the runtime and the library keep is there from now on.
	err := withPool(ctx, func(ex futures.Executor, _ int) error { return l.keep(ctx, ex, 0, warming, 0) })
	if err != nil {
		return err
	}
	before := look()
	err = withPool(ctx, func(ex futures.Executor, workers int) error {
		warm := look()
		h := newHarm(ex, l, *kills, *replace)
		err := l.keep(ctx, ex, warming, *tasks, *crashes)
		h.stop()
		if err != nil {
			return err
		}
		settled := func() error { return whole(ctx, ex, workers) }
		if !*replace {
			settled = func() error { return noticed(ctx, ex, h.killed) }
		}
		if err := settled(); err != nil {
			l.fault("%v", err)
		}
		l.balance(ex.Stats(), workers, h.killed)
		if *replace {
			l.grown("with the workers up", warm)
		}
		return nil
	})
	if err != nil {
		l.fault("%v", err)
	}
	l.calledBack()
	if *replace {
		l.grown("after the end", before)
	}
	if len(l.faults) > 0 {
		return errors.Join(l.faults...)
	}
	fmt.Println("the ledger balances")
	return nil
}

// withPool calls body with a pool whose workers are up and have carried something large, and closes the pool.
func withPool(ctx context.Context, body func(ex futures.Executor, workers int) error) error {
	ex, err := futures.NewMPIPoolExecutor(futures.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	n, err := ex.NumWorkers(ctx)
	for range 4 * n {
		if err != nil {
			break
		}
		var f *futures.Future[[]byte]
		if f, err = futures.Submit(ex, carry, make([]byte, 1<<20)); err == nil {
			_, err = f.Result(ctx)
		}
	}
	if err == nil {
		err = body(ex, n)
	}
	return errors.Join(err, ex.Close())
}

var carry = futures.Register("carry", func(b []byte) ([]byte, error) { return b, nil })

// keep has the tasks from one number to another done, by four goroutines, in blocks with a verb each.
func (l *ledger) keep(ctx context.Context, ex futures.Executor, from, to, crashes int) error {
	r := rand.New(rand.NewPCG(*seed, uint64(from)))
	p := pool.On(ex)
	blocks := make(chan block)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for b := range blocks {
				b.verb.do(ctx, ex, p, l, b)
			}
		})
	}
	every := 0 // so many tasks, one crashes
	if crashes > 0 {
		every = (to - from) / crashes
	}
	for i := 0; from < to; i++ {
		n := min(1+r.IntN(400), to-from)
		b := block{verb: verbs[i%len(verbs)], rand: rand.New(rand.NewPCG(*seed, uint64(from)+1<<32)), first: from}
		for k := range n {
			b.tasks = append(b.tasks, b.plan(from+k, every))
		}
		from += n
		blocks <- b
	}
	close(blocks)
	all.Wait()
	return ctx.Err()
}

// whole waits until a pool has all of its workers again, and has each of them work.
func whole(ctx context.Context, ex futures.Executor, workers int) error {
	for ; ; time.Sleep(time.Millisecond) {
		pids := map[int]bool{}
		for _, w := range ex.Stats().Workers {
			if w.Pid != 0 && alive(w.Pid) {
				pids[w.Pid] = true
			}
		}
		if len(pids) == workers {
			break
		}
		if n, err := ex.NumWorkers(ctx); err != nil || n == 0 {
			return errors.Join(fmt.Errorf("%d of %d workers are there, and it says %d", len(pids), workers, n), err)
		}
	}
	f, err := futures.SubmitEach(ex, who, 0)
	if err != nil {
		return err
	}
	pids, err := f.Result(ctx)
	if err != nil || len(pids) != workers {
		return errors.Join(fmt.Errorf("%d of %d workers work", len(pids), workers), err)
	}
	return nil
}

// noticed waits until a pool whose workers are not replaced knows of so many losses, and until nothing runs that a verb has left behind. The
// last worker may be killed when the ledger is at its end.
func noticed(ctx context.Context, ex futures.Executor, losses int) error {
	for end := time.Now().Add(testkit.Limit); ; time.Sleep(time.Millisecond) {
		s := ex.Stats()
		if s.Lost >= uint64(losses) && s.Queued == 0 && s.Running == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("of %d losses %d are known after %v", losses, s.Lost, testkit.Limit)
		}
		f, err := futures.Submit(ex, who, 0)
		if err != nil {
			return err
		}
		if _, err := f.Result(ctx); err != nil && !errors.Is(err, futures.ErrBroken) {
			return err
		}
	}
}

var who = futures.Register("who", func(int) (int, error) { return os.Getpid(), nil })
