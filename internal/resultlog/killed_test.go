package resultlog_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/resultlog"
)

const childVariable = "RANKPOOL_TEST_RESULTLOG"

// recordUntilKilled records one result after another, and prints how many have been written.
func recordUntilKilled(path string) {
	l, err := resultlog.Open(path, resultlog.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f, err := l.Function(resultlog.Function{Name: "f"})
	if err != nil {
		os.Exit(1)
	}
	large := make([]byte, 300<<10)
	r := l.Reader()
	for i := 0; ; i++ {
		k, e := l.Submit(f, f.Key(argument(i), nil))
		if _, ok := r.Read(e); ok {
			continue
		}
		l.Record(f, k, result(i), nil)
		if i%50 == 0 {
			k, _ := l.Submit(f, f.Key([]byte{byte(i)}, nil))
			l.Record(f, k, large, nil)
		}
		if i%20 == 0 {
			_ = l.Flush(context.Background())
			fmt.Println(i + 1)
		}
	}
}

// rounds is how many kills a test makes: a few, unless RANKPOOL_KILLS asks for more.
func rounds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("RANKPOOL_KILLS")); err == nil {
		return n
	}
	return few
}

func TestAMasterThatIsKilledAtAnyInstantLosesNothingThatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range rounds(6) {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		last := 0
		more := func() bool {
			if !lines.Scan() {
				return false
			}
			last, err = strconv.Atoi(lines.Text())
			return err == nil
		}
		if !more() {
			t.Fatal("the master has ended by itself")
		}
		time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for more() {
		}
		_ = cmd.Wait()
		l := open(t, path, resultlog.Options{}) // its claim is a dead process's
		if n := count(recorded(t, l, function(t, l, "f"), last)); n != last {
			t.Errorf("%d of %d results that had been written are there", n, last)
		}
		closeLog(t, l)
	}
}
