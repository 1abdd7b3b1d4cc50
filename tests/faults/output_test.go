//go:build unix

package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func init() {
	roles["talking"] = talking
	roles["talking on"] = func(ctx context.Context) error {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // as a server has it
		return talking(ctx)
	}
}

// talking is a program whose tasks print.
func talking(ctx context.Context) error {
	ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
	var fs []*futures.Future[int]
	for i := range 40 {
		n := 100
		if i == 0 {
			n = 200_000 // more than a pipe holds, so that it is still printing when nobody reads on
		}
		fs = append(fs, atOnce(futures.Submit(ex, loud, n)))
	}
	lost := 0
	for _, f := range fs {
		_, err := f.Result(ctx)
		if errors.Is(err, futures.ErrBroken) {
			lost++
			says := err.Error()
			if !strings.Contains(says, "signal: broken pipe (nobody reads its standard output any more)") {
				return fmt.Errorf("the error does not say what is wrong: %w", err)
			}
		} else if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(os.Stderr, "%d of %d tasks were lost, %d restarts\n", lost, len(fs), ex.Stats().Restarts)
	return err
}

// headed runs a role like `program | head -1` and returns the signal that ended it, 0 for none, and its standard error.
func headed(t *testing.T, name string) (syscall.Signal, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, exe)
	mark := fmt.Sprintf("FAULTS_PROGRAM=%d-%d", os.Getpid(), starts.Add(1))
	c.Env = append(os.Environ(), roleVariable+"="+name, mark)
	var errs strings.Builder
	c.Stderr = &errs
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Error(err)
	}
	r.Close()
	_ = c.Wait()
	until(t, "the end of its workers", func() bool { return len(marked(mark)) == 0 })
	if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		return s.Signal(), errs.String()
	}
	return 0, errs.String()
}

func TestAProgramWhoseTasksPrintEndsAsAnyOtherWhenNobodyReadsOn(t *testing.T) {
	if s, text := headed(t, "talking"); s != syscall.SIGPIPE || text != "" {
		t.Errorf("it was ended by %v and says %q, want %v and nothing", s, text, syscall.SIGPIPE)
	}
}

func TestAProgramThatHandlesBrokenPipesItselfGoesOn(t *testing.T) {
	if s, text := headed(t, "talking on"); s != 0 || !strings.Contains(text, "of 40 tasks were lost") {
		t.Errorf("it was ended by %v and says %q", s, text)
	}
}
