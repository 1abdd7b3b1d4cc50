package examples_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

var swept = regexp.MustCompile(`(\d+) points, (\d+) of them from the journal, (\d+) failed\n`)

// kills is how many times a master is killed: a few, unless RANKPOOL_KILLS asks for more.
func kills(few int) int {
	if n, err := strconv.Atoi(os.Getenv("RANKPOOL_KILLS")); err == nil {
		return n
	}
	return few
}

func TestASweepThatIsKilledAgainAndAgainEndsWithTheTableOfOneThatIsNot(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		table := func(o outcome) string {
			t.Helper()
			text, err := os.ReadFile(filepath.Join(o.dir, "sweep.csv"))
			if err != nil || o.code != 0 || strings.Contains(o.stderr, "rankpool:") {
				t.Fatalf("status %d, %v\n%s\n%s", o.code, err, o.stdout, o.stderr)
			}
			return string(text)
		}
		counts := func(o outcome) []string { return append(swept.FindStringSubmatch(o.stdout), "", "", "", "")[1:4] }
		args := []string{"-masses=10", "-work=3ms"}
		undisturbed := run(t, b, start{example: "sweep", args: args})
		want := table(undisturbed)
		if n := counts(undisturbed); n[0] != "260" || n[1] != "0" || n[2] != "10" || strings.Count(want, "\n") != 250 {
			t.Fatalf("%q\n%s", n, undisturbed.stdout)
		}
		dir := t.TempDir()
		for range kills(3) {
			cmd := exec.Command(build(t, "sweep", b), args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "RANKPOOL_BACKEND="+b.name, "RANKPOOL_MAX_WORKERS=3")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			journal := filepath.Join(dir, "sweep.journal")
			before := int64(0)
			if st, err := os.Stat(journal); err == nil {
				before = st.Size()
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			testkit.Until(t, "something recorded", func() bool {
				st, err := os.Stat(journal)
				select {
				case <-ended:
					return true
				default:
					return err == nil && st.Size() > max(before, 1000)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(150))*time.Millisecond)
			select {
			case <-ended:
			case <-ctx.Done():
			}
			cancel()
			_ = cmd.Process.Kill()
			<-ended
		}
		resumed := run(t, b, start{example: "sweep", args: args, dir: dir})
		if got := table(resumed); got != want {
			t.Errorf("the table is another one:\n%s", got)
		}
		if n := counts(resumed); n[0] != "260" || n[1] == "0" || n[2] != "10" {
			t.Errorf("%q", n)
		}
		again := run(t, b, start{example: "sweep", args: args, dir: dir})
		if n := counts(again); table(again) != want || n[1] != "250" {
			t.Errorf("%q, and the table is the same: %v", n, table(again) == want)
		}
	})
}

// A batch system ends a job with SIGTERM, some time before its limit.
func TestASweepThatIsToldToEndFinishesWhatRunsAndGoesOnTheNextTime(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM")
	}
	onEveryBackend(t, func(t *testing.T, b backend) {
		dir, args := t.TempDir(), []string{"-masses=40", "-work=20ms"}
		journal := filepath.Join(dir, "sweep.journal")
		cmd := exec.Command(build(t, "sweep", b), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "RANKPOOL_BACKEND="+b.name, "RANKPOOL_MAX_WORKERS=3")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, "something recorded", func() bool {
			st, err := os.Stat(journal)
			return err == nil && st.Size() > 2000
		})
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 143 || !strings.Contains(stderr.String(), "ended by signal: terminated") {
			t.Fatalf("status %d\n%s", code, stderr.String())
		}
		if left, _ := filepath.Glob(journal + ".*"); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
		resumed := run(t, b, start{example: "sweep", args: args, dir: dir})
		n := append(swept.FindStringSubmatch(resumed.stdout), "", "", "")
		if old, _ := strconv.Atoi(n[2]); resumed.code != 0 || n[1] != "1040" || old < 1 || old >= 1040 {
			t.Errorf("status %d, %q\n%s", resumed.code, n, resumed.stderr)
		}
	})
}
