//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// badEnd is a program that runs this one and then says that something was wrong, as a sanitizer does.
func badEnd(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n'"+exe+"' \"$@\"\nexit 7\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWorkerThatEndsBadlyAfterItsWorkIsTold(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []string{"0", "1"} { // at the end, and when it is replaced
		p := start(t, false, exe, roleVariable+"=ends badly", programVariable+"="+badEnd(t), limitVariable+"="+limit)
		if got := p.status(); got != 0 {
			t.Errorf("status %d", got)
		}
		stdout, _ := p.leavesNothing()
		says(t, stdout, "worker 0 did its work", "exit status 7")
	}
}

// closeAfterBadEnds prints what Close says, twice.
func closeAfterBadEnds(ctx context.Context) error {
	limit := atOnce(strconv.Atoi(os.Getenv(limitVariable)))
	opts := []futures.Option{futures.WithMaxWorkers(1), futures.WithExecutable(os.Getenv(programVariable))}
	if limit > 0 {
		opts = append(opts, futures.WithMaxTasksPerChild(limit))
	}
	ex := atOnce(futures.NewProcessPoolExecutor(opts...))
	for i := range 2 {
		if y := atOnce(atOnce(futures.Submit(ex, inc, i)).Result(ctx)); y != i+1 {
			return fmt.Errorf("inc(%d) = %d", i, y)
		}
	}
	err := ex.Close()
	if again := ex.Close(); again == nil || err == nil || again.Error() != err.Error() {
		return fmt.Errorf("Close = %w, then %w", err, again)
	}
	fmt.Println(err)
	return nil
}

const limitVariable = "FAULTS_LIMIT"

const programVariable = "FAULTS_PROGRAM_PATH"

// careless is a set of tests that closes its executor and does not look at the error.
type careless struct{}

func (careless) Run() int {
	ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1), futures.WithExecutable(os.Getenv(programVariable))))
	defer ex.Close()
	if y := atOnce(atOnce(futures.Submit(ex, inc, 1)).Result(context.Background())); y != 2 {
		return 3
	}
	return 0
}

func TestTestsFailWhenAWorkerEndsBadly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]int{badEnd(t): 1, exe: 0} {
		p := start(t, false, exe, roleVariable+"=test", programVariable+"="+program)
		if got := p.status(); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
		if _, stderr := p.leavesNothing(); want != 0 {
			says(t, stderr, "exit status 7")
		}
	}
}

func TestNoGoroutineIsLeftWhenTheExecutorIsClosed(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		before := goleak.IgnoreCurrent() // of earlier tests, that have ended badly
		ex, err := b.make(t, futures.WithMaxWorkers(2))
		if err != nil {
			t.Fatal(err)
		}
		works(t, ex)
		closeWithin(t, ex)
		if err := testkit.Leaks(before); err != nil { // as goleak.VerifyNone, with more time
			t.Error(err)
		}
	})
}
