package examples_test

import (
	"strings"
	"testing"
)

func TestGroupsComputeSideBySideWhatOneWorkerComputesAlone(t *testing.T) {
	var want string
	onEveryBackend(t, func(t *testing.T, b backend) {
		for _, args := range [][]string{{"-ranks=1", "-workers=1"}, {"-ranks=3", "-workers=6"}, {"-ranks=3", "-workers=3"}, {"-ranks=2", "-workers=5"}} {
			o := succeed(t, b, start{example: "groups", args: append(args, "-points=4")})
			if want == "" {
				want = o.stdout
			}
			if o.stdout != want || strings.Count(want, "\n") != 4 {
				t.Errorf("%v: got\n%s\nwant\n%s", args, o.stdout, want)
			}
		}
		if o := run(t, b, start{example: "groups", args: []string{"-ranks=4", "-workers=3"}}); o.code == 0 || !strings.Contains(o.stderr, "4 workers are wanted") ||
			!strings.Contains(o.stderr, "there are 3") {
			t.Errorf("more ranks than workers: status %d, %s", o.code, o.stderr)
		}
	})
}
