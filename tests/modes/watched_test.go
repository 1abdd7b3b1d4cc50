//go:build unix

package modes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/report"
)

const watched = "github.com/rankpool/rankpool/tests/modes/testdata/watched"

// Recording, report, progress and status of one program: with two executors, and with a worker that is killed in the midst of a map.
func TestWhatIsSeenOfARunTellsOfTwoExecutorsAndOfALostWorker(t *testing.T) {
	type testCase struct {
		mode  mode
		slots int
		kill  bool
	}
	cases := []testCase{{mode: threads}, {mode: processes, kill: true}, {mode: processes, slots: 2, kill: true}}
	if library != "" {
		if os.Getenv(ranksOnly) == "ranks" {
			cases = nil
		}
		for _, m := range rankModes() {
			m.options = []string{mpitest.Leave[library]}
			if m.ranks > 1 {
				m.ranks = 4
			}
			cases = append(cases, testCase{mode: m, kill: true}, testCase{mode: m, slots: 2, kill: true})
		}
		if m, ok := spawnless(); ok {
			cases = append(cases, testCase{mode: m, kill: true})
		}
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s with %d slots", c.mode.name, max(c.slots, 1)), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "recording")
			env := []string{"RANKPOOL_MONITOR=unix:socket", "RANKPOOL_LOG=off", "RANKPOOL_TRACE=" + path}
			if c.slots > 0 {
				env = append(env, "RANKPOOL_SLOTS="+strconv.Itoa(c.slots))
			}
			var args []string
			if c.kill {
				args = []string{"kill"}
			}
			pkg := watched
			onRanks := c.mode.reports == "mpi"
			if onRanks {
				pkg, args = c.mode.staying(t, watched, args)
			}
			o := c.mode.run(t, pkg, args, env...)
			switch {
			case onRanks:
				o.ends(t, 0, lost...)
			case o.code != 0:
				t.Fatalf("status %d:\n%s", o.code, o.output)
			}
			o.contains(t, fmt.Sprintf("shown: 2 executors, lost %v, told why %[1]v", c.kill))
			counts := regexp.MustCompile(`yielded 20 and 20, failed (\d+) and (\d+), lost (\d+) workers`).FindStringSubmatch(o.output)
			if counts == nil {
				t.Fatalf("the counts are missing:\n%s", o.output)
			}
			var n [3]int // failed in the first, and in the second map; workers that were lost
			for i := range n {
				n[i], _ = strconv.Atoi(counts[i+1])
			}
			if (n[0] > 0) != c.kill || (n[2] > 0) != c.kill {
				t.Errorf("failed and lost: %v\n%s", n, o.output)
			}
			want := `watched: 20/20 (100%)`
			if c.kill {
				want += fmt.Sprintf(", %d failed", n[0])
			}
			o.contains(t, want)
			r, err := report.Load(path)
			if err != nil {
				t.Fatal(err, o.output)
			}
			var text strings.Builder
			if err := r.Text(&text); err != nil {
				t.Fatal(err)
			}
			count, failed := map[string]int{}, map[string]int{}
			for _, f := range r.Functions {
				count[f.Name], failed[f.Name] = f.Count, f.Failed+f.Lost
			}
			if len(r.Pools) != 2 || len(r.Lost) != n[2] || failed["step"] != n[0] || failed["beside"] != n[1] || count["step"] != 20-n[0] || count["beside"] != 20-n[1] ||
				len(r.Warnings()) > 0 {
				t.Errorf("%d executors, %d losses, %v ended and %v failed, want %v\n%s\n%s", len(r.Pools), len(r.Lost), count, failed, n, o.output, text.String())
			}
			if c.kill != strings.Contains(text.String(), "  ! Lost: ") || c.kill != strings.Contains(text.String(), "step, executor 2, map 1, element 5: step was lost with worker ") {
				t.Errorf("the report does not name what was lost, or what was not:\n%s", text.String())
			}
		})
	}
}
