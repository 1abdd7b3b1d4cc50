//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func init() {
	for name, act := range map[string]func(context.Context) error{
		"interrupted": interrupted, "reads": reads, "struck": struck, "told": told, "exitcode": exitCode, "osexit": osExit, "losefetch": loseFetch,
	} {
		acts[name] = act
	}
}

var (
	// crunch does not look at its context, and takes an hour.
	crunch = futures.Register("crunch", func(x int) (int, error) {
		if x >= 4 {
			time.Sleep(time.Hour)
		}
		return x, nil
	})

	// upper tries to read what the master reads.
	upper = futures.Register("upper", func(s string) (string, error) {
		rest, err := io.ReadAll(os.Stdin)
		return fmt.Sprintf("%s and %d bytes in the worker (%v)", strings.ToUpper(s), len(rest), err), nil
	})
)

// bulky says that it is about to return when it is told to go, and returns 8 MiB.
var bulky = futures.Register("bulky", func(dir string) ([]float64, error) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return make([]float64, 1<<20), os.WriteFile(filepath.Join(dir, "returns"), nil, 0o600)
})

// loseFetch loses two workers, one after the other, each with a large result on its way.
func loseFetch(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	for round := range 2 {
		folder := must(os.MkdirTemp(*dir, "fetch-"))
		f := submit(ex, bulky, folder)
		pids, err := atWork(ctx, folder, 1)
		if err != nil {
			return err
		}
		// The master takes nothing until the worker is dead, which has told of its result by then.
		const strike = `trap '' USR1 # with which MPICH's launcher tells all processes of the loss
			kill -STOP $1; touch "$3/go"; while ! [ -e "$3/returns" ]; do sleep 0.01; done; sleep 0.3; kill -KILL $2; kill -CONT $1`
		out, err := exec.CommandContext(ctx, "sh", "-c", strike, "sh", fmt.Sprint(os.Getpid()), fmt.Sprint(pids[0]), folder).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		v, err := f.Result(ctx)
		fmt.Printf("round %d: %d elements, lost %v\n", round, len(v), errors.Is(err, futures.ErrBroken))
	}
	v, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("then:", v, err)
	return nil
}

// interrupted is told to end while it collects results, which it writes in a deferred function.
func interrupted(ctx context.Context) (err error) {
	var got []int
	defer func() {
		text := fmt.Sprintf("%v %v\n", got, err)
		_ = os.WriteFile(filepath.Join(*dir, "saved"), []byte(text), 0o600)
		fmt.Print("saved: ", text)
	}()
	ex := executor()
	defer ex.Close()
	for y, err := range futures.Map(ctx, ex, crunch, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		if err != nil {
			return err
		}
		if got = append(got, y); len(got) == 4 {
			fmt.Println("four are done")
		}
	}
	return nil
}

// reads is a filter in a pipeline, whose tasks try to read as well.
func reads(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	lines := bufio.NewScanner(os.Stdin)
	source := iter.Seq[string](func(yield func(string) bool) {
		for lines.Scan() && yield(lines.Text()) {
		}
	})
	for y, err := range futures.Map(ctx, ex, upper, source) {
		if err != nil {
			return err
		}
		fmt.Println(y)
	}
	return lines.Err()
}

// struck has every process of the job stopped, sent signals that nobody asked for, and continued, again and again.
func struck(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	held := []*futures.Future[int]{submit(ex, hold, *dir), submit(ex, hold, *dir)}
	pids, err := atWork(ctx, *dir, 2)
	if err != nil {
		return err
	}
	const strike = `for round in $(seq 30); do for p; do
		kill -STOP $p; kill -USR1 $p; kill -USR2 $p; kill -40 $p; kill -CONT $p
	done; done`
	args := []string{"-c", strike, "sh", fmt.Sprint(os.Getpid())}
	for _, pid := range pids {
		args = append(args, fmt.Sprint(pid))
	}
	if out, err := exec.CommandContext(ctx, "sh", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := seeOut(ctx, held, nil); err != nil {
		return err
	}
	fmt.Println("lost:", ex.Stats().Lost)
	return nil
}

// told is a program with signals of its own, which somebody sends to all of its processes.
func told(ctx context.Context) error {
	own := []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
	heard := make(chan os.Signal, 2*len(own))
	signal.Notify(heard, own...)
	ex := executor()
	defer ex.Close()
	held := []*futures.Future[int]{submit(ex, hold, *dir), submit(ex, hold, *dir)}
	pids, err := atWork(ctx, *dir, 2)
	if err != nil {
		return err
	}
	for _, s := range own {
		for _, pid := range append(pids, os.Getpid()) {
			send(pid, s.(syscall.Signal))
		}
		got := <-heard
		for got == syscall.SIGQUIT && s != got { // which a program that handles it gets once more after the first
			got = <-heard
		}
		fmt.Println("the master was told:", got)
	}
	if err := seeOut(ctx, held, nil); err != nil {
		return err
	}
	fmt.Println("lost:", ex.Stats().Lost)
	return nil
}

// verdict is an error with an exit status.
type verdict int

func (v verdict) Error() string { return fmt.Sprintf("verdict %d", int(v)) }
func (v verdict) ExitCode() int { return int(v) }

// exitCode ends with a status of its own.
func exitCode(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	if _, err := submit(ex, add, 1).Result(ctx); err != nil {
		return err
	}
	return verdict(3)
}

// osExit does so without a goodbye.
func osExit(ctx context.Context) error {
	if _, err := submit(executor(), add, 1).Result(ctx); err != nil {
		return err
	}
	os.Exit(3)
	return nil
}
