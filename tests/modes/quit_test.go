//go:build unix

package modes_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// rankTag is what MPICH puts before each line of a rank, since version 4.2, or before each piece of its output.
var rankTag = regexp.MustCompile(`(?m)^\[\d+\] `)

func TestSIGQUITShowsWhatEachWorkerRunsBeforeTheStacks(t *testing.T) {
	onEvery(t, func(t *testing.T, m mode) {
		o := m.run(t, "github.com/rankpool/rankpool/tests/modes/testdata/quits", nil)
		if o.code == 0 || m.ranks == 0 && o.code != 2 {
			t.Errorf("status %d", o.code)
		}
		o.output = rankTag.ReplaceAllString(o.output, "")
		status := strings.Index(o.output, "rankpool: status: ")
		stacks := strings.Index(o.output, "SIGQUIT: quit\nPC=")
		if status < 0 || stacks < status || !strings.Contains(o.output[stacks:], "goroutine ") {
			t.Fatalf("no status, or no stacks behind it:\n%s", o.output)
		}
		said := o.output[status:stacks]
		for _, want := range []string{fmt.Sprintf(`executor 1: %s, serving`, m.reports), `workers: 2 busy`, `tasks: 3 queued, 2 at workers`, `map 1, hold: 0/5 \(0%\)`,
			`(?m)^ +0  .*hold, map 1, element [01]$`, `(?m)^ +1  .*hold, map 1, element [01]$`} {
			if !regexp.MustCompile(want).MatchString(said) {
				t.Errorf("no %s in\n%s", want, said)
			}
		}
		if len(o.left) > 0 {
			t.Errorf("processes %v are left", o.left)
		}
	})
}
