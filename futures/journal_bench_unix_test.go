//go:build unix

package futures_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// benchRounds computes for so many rounds, which are the same for all elements.
var benchRounds = futures.Register("benchRounds", func(p futures.Pair[int, int]) (uint64, error) {
	return churn(uint64(p.First), p.Second), nil
})

func churn(x uint64, n int) uint64 {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
		x ^= x >> 29
	}
	return x
}

// BenchmarkJournal runs maps without a journal and with a new one, in turns, and reports the medians of the time of an element: of the wall, and of the
// processors of master and worker together. Each is timed from the opening of the journal to its end. -benchtime 8x makes eight pairs.
func BenchmarkJournal(b *testing.B) {
	for _, backend := range benchBackends {
		b.Run("1ms/"+backend.name, func(b *testing.B) {
			start := processorTime()
			const trial = 10_000_000
			xs := make([]futures.Pair[int, int], 1000)
			if churn(1, trial) == 0 {
				b.Fatal("the rounds were left out")
			}
			per := int(float64(trial) * float64(time.Millisecond) / float64(processorTime()-start))
			for i := range xs {
				xs[i] = futures.Pair[int, int]{First: i, Second: per}
			}
			besideAJournal(b, backend.make, benchRounds, xs)
		})
		b.Run("tiny/"+backend.name, func(b *testing.B) {
			xs := make([]int, 1_000_000)
			for i := range xs {
				xs[i] = i
			}
			besideAJournal(b, backend.make, benchInc, xs)
		})
	}
}

func besideAJournal[A, R any](b *testing.B, start newExecutor, fn futures.Func[A, R], xs []A) {
	ex, err := start(futures.WithMaxWorkers(1))
	if err != nil {
		b.Fatal(err)
	}
	defer ex.Close()
	path := filepath.Join(b.TempDir(), "journal")
	once := func(with bool) (wall, used float64) {
		runtime.GC()
		began, before := time.Now(), allTime(b, ex)
		var opts []futures.MapOption
		var j *journal.Journal
		if with {
			if j, err = journal.Open(path); err != nil {
				b.Fatal(err)
			}
			opts = append(opts, futures.WithJournal(j))
		}
		n := 0
		for _, err := range futures.Map(b.Context(), ex, fn, xs, opts...) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := j.Close(); err != nil || n != len(xs) {
			b.Fatal(n, err)
		}
		per := float64(len(xs))
		wall, used = float64(time.Since(began))/per, float64(allTime(b, ex)-before)/per
		if with {
			_ = os.Remove(path)
		}
		return wall, used
	}
	once(false)
	once(true) // to warm up
	var walls, useds [2][]float64
	for turn := 0; b.Loop(); turn++ {
		for k := range 2 {
			with := (turn + k) % 2
			wall, used := once(with == 1)
			walls[with], useds[with] = append(walls[with], wall), append(useds[with], used)
		}
	}
	for what, all := range map[string][2][]float64{"wall": walls, "cpu": useds} {
		differences := make([]float64, len(all[0]))
		for i := range differences {
			differences[i] = all[1][i] - all[0][i]
		}
		b.ReportMetric(median(all[0]), what+"-without-ns")
		b.ReportMetric(median(all[1]), what+"-with-ns")
		b.ReportMetric(median(differences), what+"-more-ns")
	}
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// allTime is the processor time of this process and of the workers that are processes, where the system shows it.
func allTime(b *testing.B, ex futures.Executor) time.Duration {
	b.Helper()
	all := processorTime()
	for _, w := range ex.Stats().Workers {
		if w.Pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.Pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		for _, ticks := range strings.Fields(rest)[11:13] { // utime and stime
			n, err := strconv.Atoi(ticks)
			if err != nil {
				b.Fatal(err)
			}
			all += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return all
}
