//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// Limits that are shorter than the time in which the program of the test is stopped.
const (
	suspendedStart = 6 * time.Second
	suspendedTask  = 2 * time.Second
	suspension     = 7 * time.Second
)

func init() {
	roles["suspended"] = func(ctx context.Context) error {
		dir := os.Getenv(directoryVariable)
		starts := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1), futures.WithStartTimeout(suspendedStart),
			futures.WithInitializer(hold, dir)))
		runs := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1)))
		must(runs.Bootup(ctx)) // its start takes nothing from the other's time
		must(starts.Start())
		f := atOnce(futures.Submit(runs, slowToEnd, dir, futures.WithTaskTimeout(suspendedTask)))
		if n, err := starts.NumWorkers(ctx); n != 1 || err != nil {
			return fmt.Errorf("the pool that starts has %d workers: %w", n, err)
		}
		_, err := f.Result(ctx)
		fmt.Println("its result:", err)
		return nil
	}
}

// slowToEnd runs until its context ends, and takes a while to end itself.
var slowToEnd = futures.RegisterContext("slowToEnd", func(ctx context.Context, dir string) (int, error) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	<-ctx.Done()
	time.Sleep(300 * time.Millisecond)
	return 0, fmt.Errorf("it ended by itself: %w", ctx.Err())
})

func TestTimeInWhichTheWholeProgramIsStoppedDoesNotCount(t *testing.T) {
	p := role(t, false, "suspended")
	all := []int{p.cmd.Process.Pid}
	until(t, "the initializer and the task", func() bool {
		files, _ := os.ReadDir(p.dir)
		all = all[:1]
		for _, f := range files {
			pid, err := strconv.Atoi(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
		return len(all) == 3
	})
	for _, pid := range all {
		signalTo(t, pid, syscall.SIGSTOP)
	}
	time.Sleep(suspension)
	for _, pid := range all {
		signalTo(t, pid, syscall.SIGCONT)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status := p.status()
	stdout, stderr := p.leavesNothing()
	if status != 0 || !strings.Contains(stdout, "it ended by itself: context deadline exceeded") {
		t.Errorf("status %d, it says %q and %q", status, stdout, stderr)
	}
}
