//go:build unix

package modes_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const profiling = "github.com/rankpool/rankpool/tests/modes/testdata/profiling"

func TestAProfileThatIsBegunBeforeMainIsWholeAtTheEnd(t *testing.T) {
	onEvery(t, func(t *testing.T, m mode) {
		for _, args := range [][]string{{"cpu.out"}, {"cpu.out", "fail"}} {
			o := m.run(t, profiling, args)
			out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", filepath.Join(o.dir, "cpu.out")).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "main.burnHere") {
				t.Errorf("%v: %v\n%s\nthe program:\n%s", args, err, out, o.output)
			}
		}
	})
}
