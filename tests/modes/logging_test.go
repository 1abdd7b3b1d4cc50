//go:build unix

package modes_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

const logging = "github.com/rankpool/rankpool/tests/modes/testdata/logging"

func TestATaskHasALoggerThatSaysWhichWorkerRunsWhat(t *testing.T) {
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, logging, nil)
		for w := range m.workers {
			line := fmt.Sprintf(`(?m)INFO from a task worker=%d host=\S+ attempt=1 task\.function=speak x=7$`, w)
			if n := len(regexp.MustCompile(line).FindAllString(o.output, -1)); n != 1 {
				t.Errorf("%d lines of worker %d:\n%s", n, w, o.output)
			}
		}
		if n := strings.Count(o.output, "INFO from the program\n"); n != 1 {
			t.Errorf("%d lines of the program:\n%s", n, o.output)
		}
		if strings.Contains(o.output, "rankpool: worker") {
			t.Errorf("a run in which nothing happens reports:\n%s", o.output)
		}
	})
}

// losing runs the program that loses a worker, in every mode in which it outlives that.
func losing(t *testing.T, test func(t *testing.T, m mode, run func(env ...string) outcome)) {
	all := []mode{processes}
	if library != "" {
		all = append(all, rankModes()...)
	}
	for _, m := range all {
		if m.ranks > 0 {
			m.options = []string{mpitest.Leave[library]}
		}
		t.Run(m.name, func(t *testing.T) {
			test(t, m, func(env ...string) outcome {
				pkg, args := logging, []string{"lose"}
				if m.ranks > 0 {
					pkg, args = m.staying(t, pkg, args)
				}
				return m.run(t, pkg, args, env...)
			})
		})
	}
}

func TestTheLossOfAWorkerIsOneLineOfTheMaster(t *testing.T) {
	losing(t, func(t *testing.T, m mode, run func(...string) outcome) {
		o := run()
		lost := regexp.MustCompile(`(?m)^.*level=WARN msg="rankpool: worker was lost" worker=\d host=\S+ pid=\d+ (rank=\d+ )?attempt=1 .*err=".*$`)
		if lines := lost.FindAllString(o.output, -1); len(lines) != 1 || !strings.Contains(lines[0], "time=") {
			t.Errorf("%d lines, want one with the time:\n%s", len(lines), o.output)
		} else if left := strings.Contains(lines[0], "workers_left=1"); left != (m.ranks > 0) {
			t.Errorf("how many workers are left: %s", lines[0])
		}
		want := 1
		if m.ranks > 0 {
			want = 0
		}
		if n := strings.Count(o.output, `msg="rankpool: worker was replaced" worker=`); n != want {
			t.Errorf("%d lines about another in its place, want %d:\n%s", n, want, o.output)
		}
	})
}

func TestTheVariableSaysWhatIsReported(t *testing.T) {
	losing(t, func(t *testing.T, m mode, run func(...string) outcome) {
		for _, value := range []string{"off", "error"} {
			if o := run("RANKPOOL_LOG=" + value); strings.Contains(o.output, "level=") || !strings.Contains(o.output, "x=8") {
				t.Errorf("%s:\n%s", value, o.output)
			}
		}
		if o := run("RANKPOOL_LOG=debug"); !strings.Contains(o.output, `level=DEBUG msg="rankpool: worker is ready"`) {
			t.Errorf("debug:\n%s", o.output)
		}
		if o := run("RANKPOOL_LOG=loud"); !strings.Contains(o.output, `RANKPOOL_LOG="loud" is unknown; use off, error, warn, info or debug`) {
			t.Errorf("status %d:\n%s", o.code, o.output)
		}
	})
}
