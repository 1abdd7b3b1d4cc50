//go:build linux

package mpitest_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// hangs has this program be a rank that never ends by itself.
const hangs = "MPITEST_HANGS"

func TestMain(m *testing.M) {
	if os.Getenv(hangs) != "" {
		fmt.Println("there", os.Getpid())
		neverReturns()
	}
	testkit.Main(m)
}

func neverReturns() { time.Sleep(testkit.Suite) }

// stubborn starts a process in a session of its own whose parent ends, and one more in the background, ignores what can
// be ignored, and says who is there.
const stubborn = `trap '' TERM INT HUP
(setsid sleep 1000 & echo "there $!")
sleep 1000 & echo "there $!"
echo "there $$"
wait`

var there = regexp.MustCompile(`there (\d+)`)

// onEach runs a test with the launchers that are there.
func onEach(t *testing.T, launchers []string, test func(*testing.T, string)) {
	for _, launcher := range launchers {
		t.Run(launcher, func(t *testing.T) {
			if _, err := exec.LookPath("mpiexec." + launcher); err != nil {
				t.Skip("no launcher: ", err)
			}
			test(t, launcher)
		})
	}
}

// launch runs a script on two ranks.
func launch(t *testing.T, j mpitest.Job, script string) mpitest.Result {
	t.Helper()
	j.Ranks, j.Program, j.Args = 2, "/bin/sh", []string{"-c", script}
	r, err := mpitest.Run(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// gone tells whether a process has ended, waited for or not.
func gone(pid string) bool {
	cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err != nil || len(cmdline) == 0
}

func TestTheLimitKillsTheWholeTreeAndShowsWhatAllRanksPrinted(t *testing.T) {
	onEach(t, []string{"openmpi", "mpich"}, func(t *testing.T, launcher string) {
		var r mpitest.Result
		var all [][]string
		for short := 3 * time.Second; len(all) < 6 && short < testkit.Limit; short *= 2 { // until it is enough for the start
			r = launch(t, mpitest.Job{Launcher: launcher, Limit: short}, stubborn)
			all = there.FindAllStringSubmatch(r.Output, -1)
		}
		if !r.Expired || r.Code == 0 || len(all) != 6 {
			t.Fatalf("expired %v, status %d, %d of 6 processes:\n%s", r.Expired, r.Code, len(all), r.Output)
		}
		for _, m := range all {
			if !gone(m[1]) {
				t.Errorf("process %s is still there", m[1])
			}
		}
	})
}

func TestTheLimitShowsWhatTheGoroutinesOfAllRanksDoApartFromTheOutput(t *testing.T) {
	onEach(t, []string{"openmpi", "mpich"}, func(t *testing.T, launcher string) {
		var r mpitest.Result
		var err error
		for short := 3 * time.Second; strings.Count(r.Output, "there ") < 2 && short < testkit.Limit; short *= 2 { // until it is enough for the start
			r, err = mpitest.Run(t.Context(), mpitest.Job{Ranks: 2, Launcher: launcher, Limit: short, Env: []string{hangs + "=1"}})
		}
		if err != nil || !r.Expired || r.Code == 0 || len(r.Left) > 0 {
			t.Fatalf("%v, expired %v, status %d, left %v:\n%s", err, r.Expired, r.Code, r.Left, r.Report())
		}
		if n := strings.Count(mpitest.Untagged(r.Stacks), "neverReturns("); n != 2 || strings.Contains(r.Output, "goroutine ") {
			t.Errorf("%d of 2 ranks say where they are:\n%s\nthe output:\n%s", n, r.Stacks, r.Output)
		}
		if said := r.Report(); !strings.Contains(said, r.Output) || !strings.Contains(said, r.Stacks) {
			t.Errorf("the report does not have all:\n%s", said)
		}
	})
}

func TestWhatAJobLeavesBehindIsKilledAndNamed(t *testing.T) {
	const leave = `setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo "there $!"`
	// MPICH's mpiexec ends only when nobody has the socket any more that it gave a rank.
	onEach(t, []string{"openmpi"}, func(t *testing.T, launcher string) {
		r := launch(t, mpitest.Job{Launcher: launcher, Linger: 100 * time.Millisecond}, leave)
		all := there.FindAllStringSubmatch(r.Output, -1)
		if r.Expired || r.Code != 0 || len(all) != 2 {
			t.Fatalf("expired %v, status %d:\n%s", r.Expired, r.Code, r.Output)
		}
		for _, m := range all {
			if !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(fmt.Sprint(r.Left)) || !gone(m[1]) {
				t.Errorf("process %s: gone %v, left are %v", m[1], gone(m[1]), r.Left)
			}
		}
	})
}
