// Command everywhere is what the tests start as a program that runs on every rank: its first argument says what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/spmd"
)

var (
	square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
	rankOf = futures.Register("rankOf", func(struct{}) (int, error) {
		w, err := mpi.World()
		if err != nil {
			return 0, err
		}
		return w.Rank(), nil
	})
	total = futures.RegisterContext("total", func(ctx context.Context, _ int) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return comm.Allreduce(ctx, c, c.Rank()+1, comm.Sum[int])
	})
	refuse = futures.Register("refuse", func(int) (int, error) { return 0, errors.New("not this time") })
)

var acts = map[string]func(ctx context.Context, rank, size int) error{
	"roots":  roots,
	"rounds": rounds,
	"misuse": misuse,
	"fails": func(ctx context.Context, rank, size int) error {
		if rank == size-1 {
			return errors.New("told to fail")
		}
		<-ctx.Done()
		return ctx.Err()
	},
	"one succeeds": func(ctx context.Context, rank, size int) error {
		if rank == 0 {
			return nil
		}
		return fmt.Errorf("rank %d was told to fail", rank)
	},
	"panics": func(ctx context.Context, rank, size int) error {
		return futures.MPICommExecutor(ctx, nil, 0, func(context.Context, futures.Executor) error { panic("told to panic") })
	},
	"late": func(ctx context.Context, rank, size int) error {
		if rank == size-1 {
			<-ctx.Done() // it never enters
			return ctx.Err()
		}
		return futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
			_, err := ex.NumWorkers(ctx)
			if err == nil {
				_, err = futures.Submit(ex, square, 1)
			}
			return err
		}, futures.WithStartTimeout(time.Second))
	},
	"initializer": func(ctx context.Context, rank, size int) error {
		err := futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
			f, err := futures.Submit(ex, square, 3)
			if err != nil {
				return err
			}
			if _, err = f.Result(ctx); !errors.Is(err, futures.ErrBroken) {
				return fmt.Errorf("the task ended with %w", err)
			}
			return nil
		}, futures.WithInitializer(refuse, 1))
		if rank == 0 && errors.Is(err, futures.ErrBroken) { // the end of the executor says so too
			err = nil
		}
		if err == nil {
			fmt.Println("rank", rank, "goes on")
		}
		return err
	},
}

// roots has every rank be the root in turn.
func roots(ctx context.Context, rank, size int) error {
	for root := range size {
		served := true
		err := futures.MPICommExecutor(ctx, nil, root, func(ctx context.Context, ex futures.Executor) error {
			served = false
			x := 0
			for y, err := range futures.Map(ctx, ex, square, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
				if err != nil || y != x*x {
					return fmt.Errorf("square of %d: %d, %w", x, y, err)
				}
				x++
			}
			each, err := futures.SubmitEach(ex, rankOf, struct{}{})
			if err != nil {
				return err
			}
			ranks, err := each.Result(ctx)
			if err != nil {
				return err
			}
			sum, err := futures.SubmitEach(ex, total, 0)
			if err != nil {
				return err
			}
			sums, err := sum.Result(ctx)
			fmt.Println("root", root, "of", size, "has", ranks, sums, ex.Backend())
			return err
		})
		if err != nil {
			return err
		}
		if served == (rank == root) {
			return fmt.Errorf("rank %d: root %d, served %v", rank, root, served)
		}
	}
	fmt.Println("rank", rank, "goes on")
	return nil
}

// rounds enters again and again, with and without use, and counts what is left.
func rounds(ctx context.Context, rank, size int) error {
	var before int
	for i := range 100 {
		err := futures.MPICommExecutor(ctx, nil, i%size, func(ctx context.Context, ex futures.Executor) error {
			switch i % 3 {
			case 0:
				return ex.Close()
			case 1:
				return nil
			}
			f, err := futures.Submit(ex, square, i)
			if err != nil {
				return err
			}
			if y, err := f.Result(ctx); err != nil || y != i*i {
				return fmt.Errorf("round %d: %d, %w", i, y, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if i == 0 {
			before = mpi.LiveComms()
		}
	}
	if n := mpi.LiveComms(); n != before {
		return fmt.Errorf("rank %d: %d communicators, %d after the first round", rank, n, before)
	}
	fmt.Println("rank", rank, "goes on")
	return nil
}

// misuse passes what cannot be.
func misuse(ctx context.Context, rank, size int) error {
	body := func(context.Context, futures.Executor) error { return errors.New("body was called") }
	for _, root := range []int{-1, -size, size} {
		fmt.Println(futures.MPICommExecutor(ctx, nil, root, body))
	}
	fmt.Println(futures.MPICommExecutor(ctx, nil, 0, nil))
	err := futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
		fmt.Println(futures.MPICommExecutor(ctx, nil, 0, body))
		f, err := futures.Submit(ex, square, 3)
		if err != nil {
			return err
		}
		y, err := f.Result(ctx)
		fmt.Println("the outer one says", y)
		return err
	})
	if err != nil {
		return err
	}
	// Wrong options: the others are let go.
	err = futures.MPICommExecutor(ctx, nil, 0, body, futures.WithMaxWorkers(0))
	if rank == 0 {
		fmt.Println(err)
	} else if err != nil {
		return err
	}
	fmt.Println("rank", rank, "goes on")
	return nil
}

func main() {
	spmd.Main(func(ctx context.Context) error {
		if len(os.Args) != 2 || acts[os.Args[1]] == nil {
			return errors.New("usage: everywhere ACT")
		}
		rank, size := 0, 1
		if w, err := mpi.World(); err == nil {
			rank, size = w.Rank(), w.Size()
		}
		return acts[os.Args[1]](ctx, rank, size)
	})
}
