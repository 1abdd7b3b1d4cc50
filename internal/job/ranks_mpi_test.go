//go:build mpi && linux && (amd64 || arm64)

package job_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/testkit"
)

// The goroutine that hears a note polls for all ranks.
func TestANoteOfARankHoldsNothingUpWhenNobodyReadsStandardError(t *testing.T) {
	options, err := job.LinkOptions()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = stderr }()

	note := fmt.Sprintf("bound to one core, at %v", time.Now()) // what was said once is not said again
	free := make(chan struct{})
	go func() {
		defer close(free)
		options.Noted(1, note)
		options.Noted(2, note)
		job.This.Serves() // takes the lock of this process's job
	}()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	select {
	case <-free:
	case <-ctx.Done():
		t.Error("the goroutine that polls, or the lock, waits for a reader of standard error")
	}

	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		text <- strings.TrimLeft(string(b), "\n")
	}()
	<-free
	if err := job.Notes.Drain(ctx); err != nil {
		t.Error(err)
	}
	_ = w.Close()
	if got, want := <-text, "rankpool: warning: rank 1: "+note+"\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// fill fills a pipe with empty lines.
func fill(w *os.File) error {
	c, err := w.SyscallConn()
	if err != nil {
		return err
	}
	var full error
	err = c.Control(func(fd uintptr) {
		for n := 4096; n > 0; { // to the last byte
			_, full = syscall.Write(int(fd), bytes.Repeat([]byte("\n"), n))
			switch full {
			case nil:
			case syscall.EAGAIN:
				n /= 2
			default:
				return
			}
		}
	})
	if err == nil && full != syscall.EAGAIN {
		err = full
	}
	return err
}
