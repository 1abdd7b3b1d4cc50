//go:build unix

package futures_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/testkit"
)

var napping = futures.RegisterContext("napping", func(ctx context.Context, d time.Duration) (int, error) {
	select {
	case <-time.After(d):
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
})

func TestASignalCutsTheCloseOfALongQueueShort(t *testing.T) {
	if how := os.Getenv(closingVariable); how != "" {
		queueNaps(t, how)
		return
	}
	for _, how := range []string{"deferred", "left to Main"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestASignalCutsTheCloseOfALongQueueShort$")
			cmd.Env = append(os.Environ(), closingVariable+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan() // the queue is full
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
			for lines.Scan() {
				if text := lines.Text(); strings.HasPrefix(text, "grace") && !strings.Contains(text, " m=") {
					t.Errorf("it is not kept on the clock that nobody sets: %s", text)
				}
			}
			if exit := new(exec.ExitError); !errors.As(cmd.Wait(), &exit) || exit.ExitCode() != 130 {
				t.Errorf("it ended with %v, want status 130", cmd.ProcessState)
			}
		})
	}
}

// queueNaps is the program that is signalled. Its queue takes hours.
func queueNaps(t *testing.T, how string) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if _, err := futures.Submit(ex, napping, testkit.Limit); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ex.NumWorkers(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Println("full")
	if how == "deferred" {
		_ = ex.Close()
		fmt.Println("grace until", life.GraceEnd())
	}
}

func TestASignalThatTheProcessWasStartedToIgnoreStaysIgnored(t *testing.T) {
	if os.Getenv(ignoringVariable) != "" {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	const pattern = "-test.run=^TestASignalThatTheProcessWasStartedToIgnoreStaysIgnored$"
	cmd := exec.CommandContext(ctx, "sh", "-c", `trap "" INT; exec "$0" "$1"`, os.Args[0], pattern)
	cmd.Env = append(os.Environ(), ignoringVariable+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
