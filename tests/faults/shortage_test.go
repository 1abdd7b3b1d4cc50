//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func init() {
	roles["short of descriptors"] = func(ctx context.Context) error {
		const workers, tasks = 4, 200
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(workers)))
		must(ex.Bootup(ctx))
		var fs []*futures.Future[int]
		for range tasks {
			fs = append(fs, atOnce(futures.Submit(ex, nap, 5)))
		}
		var old syscall.Rlimit
		must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
		must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: old.Max}))
		for _, pid := range pids(ex) {
			must(syscall.Kill(pid, syscall.SIGKILL))
		}
		for ex.Stats().Lost < 2*workers { // each slot has failed to start as well
			time.Sleep(time.Millisecond)
		}
		must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
		lost := 0
		for _, f := range fs {
			if _, err := f.Result(ctx); errors.Is(err, futures.ErrBroken) {
				lost++
			} else if err != nil {
				return err
			}
		}
		for ; ; time.Sleep(time.Millisecond) {
			if up := upAndRunning(ex); up == workers {
				fmt.Printf("%d lost, whole again\n", lost)
				return ex.Close()
			}
		}
	}
}

// upAndRunning counts the workers whose processes are there.
func upAndRunning(ex futures.Executor) (n int) {
	for _, pid := range pids(ex) {
		if pid != 0 && !gone(pid) {
			n++
		}
	}
	return n
}

var nap = futures.Register("nap", func(ms int) (int, error) { time.Sleep(time.Duration(ms) * time.Millisecond); return ms, nil })

func TestAShortWantOfDescriptorsCostsNoSlotAndNoPool(t *testing.T) {
	p := role(t, false, "short of descriptors")
	status := p.status()
	stdout, stderr := p.leavesNothing()
	lost := 0
	if _, err := fmt.Sscanf(stdout, "%d lost, whole again\n", &lost); err != nil || status != 0 || lost > 4 {
		t.Errorf("status %d, it says %q and %q", status, stdout, strings.TrimSpace(stderr))
	}
}
