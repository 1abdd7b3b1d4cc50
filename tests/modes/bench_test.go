//go:build unix

package modes_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// figure is work that both plain MPI and a pool do, in a world of two.
type figure struct {
	raw  []string // arguments of testdata/raw.c
	ours []string // of probe
}

var figures = map[string]figure{
	// One task at a time.
	"RoundTrip": {raw: []string{"100000", "64"}, ours: []string{"-tasks", "50000", "trips"}},
	// Many tasks, all submitted before the first result is asked for; plain MPI still has one on its way at a time.
	"Tasks": {raw: []string{"100000", "64"}, ours: []string{"-tasks", "1000000", "rate"}},
	// 16 MiB of float64 there and back.
	"Echo": {raw: []string{"60", "16777216", "fresh"}, ours: []string{"-tasks", "60", "echo"}},
}

// sittings is how often plain MPI and a pool are measured in turn; the medians are compared.
const sittings = 5

// BenchmarkAgainstPlainMPI reports the median time of each and their quotient. The two are separate jobs, one after the
// other, because Go's threads and memory would change what C takes. Run it on a quiet machine with two cores or more:
//
//	MPITEST_LAUNCHER=openmpi go test -tags mpi -run '^$' -bench PlainMPI ./tests/modes
func BenchmarkAgainstPlainMPI(b *testing.B) {
	if library == "" {
		b.Skip("built without -tags mpi")
	}
	raw := filepath.Join(binaries.Dir, "raw")
	if out, err := exec.Command("mpicc."+library, "-O2", "-o", raw, "testdata/raw.c").CombinedOutput(); err != nil {
		b.Skipf("no C compiler of %s: %v\n%s", library, err, out)
	}
	for name, f := range figures {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var theirs, ours []float64
				for range sittings {
					theirs = append(theirs, took(b, raw, f.raw))
					ours = append(ours, took(b, binaries.Build(b, probe), f.ours))
				}
				slices.Sort(theirs)
				slices.Sort(ours)
				t, o := theirs[sittings/2], ours[sittings/2]
				b.ReportMetric(t, "ns/plain")
				b.ReportMetric(o, "ns/ours")
				b.ReportMetric(o/t, "ours/plain")
				b.ReportMetric(0, "ns/op")
				b.Logf("plain %v, ours %v", theirs, ours)
			}
		})
	}
}

var tookNs = regexp.MustCompile(`took (\d+) ns`)

// took runs a program on two ranks and returns the time it prints.
func took(b *testing.B, program string, args []string) float64 {
	b.Helper()
	r, err := mpitest.Run(b.Context(), mpitest.Job{Ranks: 2, Program: program, Args: args, Limit: limit})
	m := tookNs.FindStringSubmatch(r.Output)
	if err != nil || r.Code != 0 || m == nil {
		b.Fatalf("%s %v: %v, status %d:\n%s", program, args, err, r.Code, r.Output)
	}
	ns, _ := strconv.ParseFloat(m[1], 64)
	return ns
}
