package examples_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHelloGreetsEveryNameInOrder(t *testing.T) {
	greeting := regexp.MustCompile(`^hello, (.+), from process (\d+) on \S+$`)
	for _, names := range [][]string{{"world"}, {"Ada", "Grace Hopper", "Ωmega", "-", "Ada"}} {
		t.Run(fmt.Sprint(len(names), " names"), func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				args := names
				if len(names) == 1 {
					args = nil // the default
				}
				o := succeed(t, b, start{example: "hello", args: args})
				var greeted []string
				for line := range strings.Lines(o.stdout) {
					m := greeting.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
					if m == nil {
						t.Fatalf("not a greeting: %q", line)
					}
					greeted = append(greeted, m[1])
					if pid, _ := strconv.Atoi(m[2]); b.apart == (pid == o.pid) {
						t.Errorf("the task ran in process %d, the program is process %d", pid, o.pid)
					}
				}
				if diff := cmp.Diff(names, greeted); diff != "" {
					t.Errorf("names (-want +got):\n%s", diff)
				}
			})
		})
	}
}
