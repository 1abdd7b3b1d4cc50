package resultlog_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

const holderVariable = "RANKPOOL_TEST_RESULTLOG_HOLDER"

// holdLog opens a log, fills memory, says so, and ends with its standard input.
func holdLog(path string) {
	l, err := resultlog.Open(path, resultlog.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	memory := make([]byte, 128<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(memory[:1])
	_ = l
}

// A script kills a job and starts it again in the next line. The kernel needs a while for the memory of the first.
func TestAJobThatWasJustKilledDoesNotKeepTheNextOneFromItsLog(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("claims go by their lease here")
	}
	path := filepath.Join(t.TempDir(), "log")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range rounds(3) {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), holderVariable+"="+path)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscanln(out, new(string)); err != nil {
			t.Fatal("the job has not come to hold the log: ", err)
		}
		_ = cmd.Process.Kill()
		closeLog(t, open(t, path, resultlog.Options{}))
		_ = in.Close()
		_ = cmd.Wait()
	}
}
