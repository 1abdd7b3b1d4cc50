package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// ledger is a state that notes in a folder when it is opened and closed, by files with the number of the process; and it starts a
// program, as one does that asks a server of its own.
var (
	ledgerDir = futures.RegisterGlobal[string]("ledgerDir")
	ledger    = futures.RegisterState("ledger", openLedger, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, fmt.Sprint("closed.", os.Getpid())), nil, 0o600)
	})

	// useLedger returns its process. With true it waits for the end of its context.
	useLedger = futures.RegisterContext("useLedger", func(ctx context.Context, wait bool) (int, error) {
		if _, err := ledger.Get(ctx); err != nil {
			return 0, err
		}
		if wait {
			<-ctx.Done()
		}
		return os.Getpid(), context.Cause(ctx)
	})
)

func openLedger(ctx context.Context) (string, error) {
	dir, err := ledgerDir.Get(ctx)
	if err != nil {
		return "", err
	}
	const script = `sleep 300 > /dev/null 2>&1 & echo $! > "$0/child"; echo $$ > "$0/shell"; wait`
	server := exec.CommandContext(ctx, "sh", "-c", script, dir) // it is to live as long as the context
	if err := server.Start(); err != nil {
		return "", err
	}
	go func() { _ = server.Wait() }()
	for ctx.Err() == nil { // until it is there, as one does with a server
		if _, err := os.Stat(filepath.Join(dir, "shell")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return dir, os.WriteFile(filepath.Join(dir, fmt.Sprint("opened.", os.Getpid())), nil, 0o600)
}

func TestAProgramThatAStateHasStartedLivesOnWhenTheTaskIsOverAndEndsWithTheWorker(t *testing.T) {
	dir := t.TempDir()
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithGlobal(ledgerDir, dir))
	worker := booted(t, ex)[0]
	f := submit(t, ex, useLedger, true, futures.WithTaskTimeout(4*time.Second)) // which opens it
	pids := kept(t, dir)
	if err := failure(t, f); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	pid, err := submit(t, ex, useLedger, false).Result(limited(t)) // after the end of what the first one has started
	if err != nil || pid != worker {
		t.Errorf("process %d, %v; the worker was %d", pid, err, worker)
	}
	if slices.ContainsFunc(pids, gone) {
		t.Error("the program of the state has ended with the task")
	}
	closeWithin(t, ex)
	endOf(t, pids)
}

func TestAWorkerThatIsKilledClosesNoStateAndTheOthersDo(t *testing.T) {
	dir := t.TempDir()
	ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithGlobal(ledgerDir, dir))
	workers := booted(t, ex)
	var fs []*futures.Future[int]
	for range 2 { // one for each
		fs = append(fs, submit(t, ex, useLedger, true))
	}
	noted := func(what string, pid int) bool {
		_, err := os.Stat(filepath.Join(dir, fmt.Sprint(what, ".", pid)))
		return err == nil
	}
	until(t, "both have one", func() bool { return noted("opened", workers[0]) && noted("opened", workers[1]) })
	signalTo(t, workers[0], syscall.SIGKILL)
	whole(t, ex, 2, workers[0])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := ex.Shutdown(ctx, futures.InterruptTasks()); err != nil {
		t.Error(err)
	}
	for _, f := range fs {
		_ = failure(t, f)
	}
	if noted("closed", workers[0]) || !noted("closed", workers[1]) {
		t.Errorf("the killed one has closed: %v, the other: %v", noted("closed", workers[0]), noted("closed", workers[1]))
	}
	noProcess(t, markVariable+"="+os.Getenv(markVariable))
}
