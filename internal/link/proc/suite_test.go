//go:build unix

package proc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/proc"
)

func TestSuite(t *testing.T) {
	suite(t)
}

func TestSuiteByTheSocketAlone(t *testing.T) {
	suite(t, socketAlone)
}

// socketAlone is the setting with which no process reads another's memory.
const socketAlone = "RANKPOOL_PROC_SOCKET=1"

func suite(t *testing.T, env ...string) {
	stderr := discard(t)
	linktest.Run(t, func(*testing.T) linktest.Harness {
		return linktest.Harness{
			Proof: true,
			New: func(slots int) link.Group {
				return proc.New(proc.Config{Slots: slots, Args: []string{}, Env: append(env[:len(env):len(env)], quickExit), Stderr: stderr})
			},
		}
	})
}

// quickExit spares children built with -race the second that they wait at exit.
const quickExit = "GORACE=atexit_sleep_ms=0"

// discard is where the stacks of workers that are told to panic go.
func discard(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
