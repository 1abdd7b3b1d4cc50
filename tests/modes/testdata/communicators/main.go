// Command communicators enters communicators that it has made with empi. Its argument says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/spmd"
)

var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })

// surroundings are the working directory and the variable of a process.
var surroundings = futures.Register("surroundings", func(struct{}) (string, error) { return look() })

func look() (string, error) {
	dir, err := os.Getwd()
	return fmt.Sprintf("%s %q", dir, os.Getenv("COMMUNICATORS")), err
}

func main() {
	spmd.Main(func(ctx context.Context) error {
		switch os.Args[1] {
		case "nested":
			return nested(ctx)
		case "parts":
			return parts(ctx)
		case "alone":
			return alone(ctx)
		case "surroundings":
			return visited(ctx, os.Args[2])
		case "absent":
			return absent(ctx, os.Args[2], os.Args[3], numbers(os.Args[4:]))
		case "lost":
			return lost(ctx, os.Args[2], numbers(os.Args[3:4])[0], numbers(os.Args[4:]))
		case "late":
			return late(ctx, filepath.Join(os.Args[2], "refused"))
		}
		return errors.New("usage: communicators nested|parts|alone|surroundings DIR|absent RANK ROOT [RANKS]|lost DIR RANK RANKS|late DIR")
	})
}

// never must not be called.
func never(context.Context, futures.Executor) error { return errors.New("body was called") }

// nested enters the world by one handle inside of a block that has entered it by another, and parts of it.
func nested(ctx context.Context) error {
	world, err := mpi.NewComm(nil)
	if err != nil {
		return err
	}
	again, err := mpi.NewComm(nil)
	if err != nil {
		return err
	}
	part, err := mpi.NewComm([]int{0, 1})
	if err != nil {
		return err
	}
	for _, outer := range []futures.Communicator{nil, world} {
		err = futures.MPICommExecutor(ctx, outer, 0, func(ctx context.Context, ex futures.Executor) error {
			for _, inner := range []futures.Communicator{nil, world, again, part} {
				fmt.Println("nested:", futures.MPICommExecutor(ctx, inner, 0, never))
			}
			return squares(ctx, ex)
		})
		if err != nil {
			return err
		}
	}
	if mpi.WorldRank() > 1 {
		return nil
	}
	return futures.MPICommExecutor(ctx, part, 0, func(ctx context.Context, ex futures.Executor) error {
		fmt.Println("nested:", futures.MPICommExecutor(ctx, part, 0, never))
		fmt.Println("nested:", futures.MPICommExecutor(ctx, world, 0, never))
		return squares(ctx, ex)
	})
}

func squares(ctx context.Context, ex futures.Executor) error {
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	f, err := futures.Submit(ex, square, 3)
	if err != nil {
		return err
	}
	y, err := f.Result(ctx)
	fmt.Println(n, "workers:", y, ex.Backend())
	return err
}

// parts has two of three ranks serve each other.
func parts(ctx context.Context) error {
	part, err := mpi.NewComm([]int{0, 2})
	if err != nil || mpi.WorldRank() == 1 {
		return err
	}
	return futures.MPICommExecutor(ctx, part, 1, squares)
}

// alone has every rank enter a communicator of its own.
func alone(ctx context.Context) error {
	if !mpi.IsOn() {
		mpi.Init()
	}
	for rank := range mpi.WorldSize() {
		self, err := mpi.NewComm([]int{rank})
		if err != nil {
			return err
		}
		if rank != mpi.WorldRank() {
			continue
		}
		if err := futures.MPICommExecutor(ctx, self, 0, squares); err != nil {
			return err
		}
	}
	return nil
}

// visited has every rank serve with a directory and a variable, and look at its own before and after.
func visited(ctx context.Context, dir string) error {
	before, err := look()
	if err != nil {
		return err
	}
	err = futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
		f, err := futures.SubmitEach(ex, surroundings, struct{}{})
		if err != nil {
			return err
		}
		all, err := f.Result(ctx)
		for _, s := range all {
			fmt.Println("in the block:", s)
		}
		return err
	}, futures.WithDir(dir), futures.WithEnv(map[string]string{"COMMUNICATORS": "set"}))
	if err != nil {
		return err
	}
	after, err := look()
	if after != before {
		return fmt.Errorf("rank %d: %s, before %s", mpi.WorldRank(), after, before)
	}
	fmt.Println("rank", mpi.WorldRank(), "is as before")
	return err
}

// absent has one rank come to its end while the others enter a communicator of these ranks, in this order, or the world.
func absent(ctx context.Context, rank, root string, ranks []int) error {
	var all futures.Communicator
	if len(ranks) > 0 {
		part, err := mpi.NewComm(ranks)
		if err != nil || !slices.Contains(ranks, mpi.WorldRank()) {
			return err
		}
		all = part
	}
	if fmt.Sprint(mpi.WorldRank()) == rank {
		return nil
	}
	r, err := strconv.Atoi(root)
	if err != nil {
		return err
	}
	err = futures.MPICommExecutor(ctx, all, r, squares)
	fmt.Printf("rank %d: %v\n", mpi.WorldRank(), err)
	return nil
}

func numbers(words []string) (all []int) {
	for _, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil {
			panic(err)
		}
		all = append(all, n)
	}
	return all
}

var dying = futures.Register("dying", func(rank int) (int, error) {
	if rank == mpi.WorldRank() {
		return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return mpi.WorldRank(), nil
})

// lost has these ranks, in this order, serve rank 0 of the world, and one rank killed: by a task, or on its own when it is none of them.
func lost(ctx context.Context, dir string, victim int, ranks []int) error {
	part, err := mpi.NewComm(ranks)
	if err != nil {
		return err
	}
	inside, killed := slices.Contains(ranks, victim), filepath.Join(dir, "killed")
	switch me := mpi.WorldRank(); {
	case me == victim && !inside:
		if err := os.WriteFile(killed, nil, 0o600); err != nil {
			return err
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case !slices.Contains(ranks, me):
		return nil
	}
	return futures.MPICommExecutor(ctx, part, slices.Index(ranks, 0), func(ctx context.Context, ex futures.Executor) error {
		tasks, err := futures.SubmitEach(ex, dying, victim)
		if err != nil {
			return err
		}
		_, err = tasks.Result(ctx)
		fmt.Println("tasks:", err)
		if !inside {
			for _, err := os.Stat(killed); err != nil; _, err = os.Stat(killed) {
				time.Sleep(time.Millisecond)
			}
		}
		return squares(ctx, ex)
	})
}

// late has root give up before the last rank has come, which comes only when root was refused to enter once more.
func late(ctx context.Context, refused string) error {
	const root, last = 0, 2
	if mpi.WorldRank() == last {
		for _, err := os.Stat(refused); err != nil; _, err = os.Stat(refused) {
			time.Sleep(time.Millisecond)
		}
	}
	if mpi.WorldRank() != root {
		for range 2 { // in the first they are let go
			if err := futures.MPICommExecutor(ctx, nil, root, never); err != nil {
				return err
			}
		}
		return nil
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	fmt.Println("first:", futures.MPICommExecutor(over, nil, root, never, futures.WithMaxWorkers(0)))
	fmt.Println("second:", futures.MPICommExecutor(ctx, nil, root, never))
	if err := os.WriteFile(refused, nil, 0o600); err != nil {
		return err
	}
	for {
		err := futures.MPICommExecutor(ctx, nil, root, squares)
		if err == nil || !strings.Contains(err.Error(), "still being let go") {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}
