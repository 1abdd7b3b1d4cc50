package examples_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestPinGivesEachWorkerADeviceAndACoreOfItsOwn(t *testing.T) {
	line := regexp.MustCompile(`^worker (\d+) of (\d+), (\d+) of (\d+) on (\S+): GPU (\S+), cores (\S+)\n$`)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, gpus := range []int{2, 4} {
		t.Run(fmt.Sprint(gpus, " GPUs"), func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				o := succeed(t, b, start{example: "pin", args: []string{"-gpus", strconv.Itoa(gpus)}})
				used := map[string]int{}
				n := 0
				for text := range strings.Lines(o.stdout) {
					m := line.FindStringSubmatch(text)
					if m == nil {
						t.Fatalf("not a report: %q", text)
					}
					number, count := strconv.Itoa(n), strconv.Itoa(workers)
					if m[1] != number || m[2] != count || m[3] != number || m[4] != count || m[5] != host {
						t.Errorf("worker %d says %q", n, text)
					}
					if want := strconv.Itoa(n % gpus); m[6] != want {
						t.Errorf("worker %d has GPU %s, want %s", n, m[6], want)
					}
					if b.apart && runtime.GOOS == "linux" {
						if strings.Contains(m[7], ",") {
							t.Errorf("worker %d may run on cores %s, want one", n, m[7])
						}
						used[m[7]]++
					}
					n++
				}
				if n != workers {
					t.Errorf("%d workers have reported, want %d", n, workers)
				}
				if b.apart && runtime.GOOS == "linux" && len(used) < min(workers, runtime.NumCPU()) {
					t.Errorf("%d workers are on cores %v of %d", workers, used, runtime.NumCPU())
				}
			})
		})
	}
}

func TestPinRefusesAHostWithoutDevices(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := run(t, b, start{example: "pin", args: []string{"-gpus", "0"}})
		if o.code != 1 || !strings.Contains(o.stderr, "-gpus 0") {
			t.Errorf("status %d, %q", o.code, o.stderr)
		}
	})
}
