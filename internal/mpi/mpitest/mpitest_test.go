//go:build linux

package mpitest_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// stubborn starts a process in a session of its own whose parent ends, and one more in the background, ignores what can
// be ignored, and says who is there.
const stubborn = `trap '' TERM INT HUP
(setsid sleep 1000 & echo "there $!")
sleep 1000 & echo "there $!"
echo "there $$"
wait`

var there = regexp.MustCompile(`there (\d+)`)

// launch runs a script on two ranks of every launcher that is there.
func launch(t *testing.T, script string, set func(*mpitest.Job), launchers []string, test func(*testing.T, mpitest.Result)) {
	for _, launcher := range launchers {
		t.Run(launcher, func(t *testing.T) {
			if _, err := exec.LookPath("mpiexec." + launcher); err != nil {
				t.Skip("no launcher: ", err)
			}
			j := mpitest.Job{Ranks: 2, Program: "/bin/sh", Args: []string{"-c", script}, Launcher: launcher}
			set(&j)
			r, err := mpitest.Run(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			test(t, r)
		})
	}
}

// gone tells whether a process has ended, waited for or not.
func gone(pid string) bool {
	cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err != nil || len(cmdline) == 0
}

func TestTheLimitKillsTheWholeTreeAndShowsWhatAllRanksPrinted(t *testing.T) {
	launch(t, stubborn, func(j *mpitest.Job) { j.Limit = 3 * time.Second }, []string{"openmpi", "mpich"}, func(t *testing.T, r mpitest.Result) {
		all := there.FindAllStringSubmatch(r.Output, -1)
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

func TestWhatAJobLeavesBehindIsKilledAndNamed(t *testing.T) {
	const leave = `setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo "there $!"`
	// MPICH's mpiexec ends only when nobody has the socket any more that it gave a rank.
	launch(t, leave, func(j *mpitest.Job) { j.Linger = 100 * time.Millisecond }, []string{"openmpi"}, func(t *testing.T, r mpitest.Result) {
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
