//go:build linux

package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/memlimit"
	"github.com/rankpool/rankpool/internal/testkit"
)

var (
	table     = futures.RegisterGlobal[[]float64]("table")
	tableSums = futures.RegisterContext("tableSums", func(ctx context.Context, _ int) (sum float64, err error) {
		t, err := table.Get(ctx)
		for _, x := range t {
			sum += x
		}
		return sum, err
	})
)

func init() {
	// Memory that is shared is a file, of which this process may write no more than a part of the value.
	roles["a global that cannot be shared"] = func(ctx context.Context) error {
		var old syscall.Rlimit
		must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
		must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4 << 20, Max: old.Max}))
		t := make([]float64, 1<<20)
		for i := range t {
			t[i] = 1
		}
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2), futures.WithGlobal(table, t)))
		for sum, err := range futures.Map(ctx, ex, tableSums, []int{0, 1}) {
			must(err)
			fmt.Println(sum)
		}
		return ex.Close()
	}
}

func TestAGlobalThatCannotBeSharedIsCopiedAndThatIsLogged(t *testing.T) {
	p := role(t, false, "a global that cannot be shared")
	status := p.status()
	stdout, stderr := p.leavesNothing()
	if status != 0 || stdout != "1.048576e+06\n1.048576e+06\n" {
		t.Errorf("status %d: %s", status, stdout)
	}
	says(t, stderr, "the workers get copies of the globals", "file too large")
}

// An address space may be larger than memory: nobody looks at the pages of this slice.
func TestAGlobalThatIsLargerThanMemoryIsAnErrorThatNamesBothSizes(t *testing.T) {
	limit := memlimit.Bytes()
	mem, err := unix.Mmap(-1, 0, 2*int(limit), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		t.Skip("no address space of that size:", err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	onEveryBackend(t, func(t *testing.T, b backend) {
		_, err := b.make(t, futures.WithGlobal(large, mem))
		says(t, err, "WithGlobal", "large takes "+gibibytes(uint64(len(mem))), "this process may use "+gibibytes(limit))
		_, err = b.make(t, futures.WithGlobal(table, make([]float64, 1<<20)), futures.WithGlobal(large, mem[:limit]))
		says(t, err, "WithGlobal", "with what is set for the workers already")
	})
}

var large = futures.RegisterGlobal[[]byte]("large")

func gibibytes(n uint64) string { return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB" }

// proportional is the proportional set sizes of processes together, in bytes.
func proportional(t *testing.T, pids ...int) (n uint64) {
	t.Helper()
	for _, pid := range pids {
		f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			t.Skip("the system does not tell proportional set sizes:", err)
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			var kib uint64
			if strings.HasPrefix(in.Text(), "Pss:") {
				_, _ = fmt.Sscanf(in.Text(), "Pss: %d kB", &kib)
			}
			n += kib << 10
		}
		f.Close()
	}
	return n
}

func TestLargeGlobalIsThereOnceForAllProcessesOfAHost(t *testing.T) {
	const size, workers = 1 << 30, 8
	switch free := available(); {
	case testkit.Race:
		t.Skip("1 GiB takes too long under the race detector; make large runs this test")
	case testing.Short():
		t.Skip("1 GiB takes too long for -short")
	case free < 3*size:
		t.Skipf("%d MiB of memory are available, it takes %d", free>>20, 3*size>>20)
	}
	xs := make([]float64, size/8)
	for i := range xs {
		xs[i] = 1
	}
	begin := time.Now()
	_ = append([]float64(nil), xs...)
	copied := time.Since(begin)
	debug.FreeOSMemory()

	// uses starts a pool, has every worker read all of the global, and returns the memory of the host and the time until the pool was up.
	uses := func(opts ...futures.Option) (uint64, time.Duration, time.Duration) {
		begin := time.Now()
		ex := processes.open(t, append(opts, futures.WithMaxWorkers(workers))...)
		made := time.Since(begin)
		if err := ex.Bootup(limited(t)); err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		if len(opts) > 0 {
			f, err := futures.SubmitEach(ex, tableSums, 0)
			if err != nil {
				t.Fatal(err)
			}
			sums, err := f.Result(limited(t))
			if err != nil || len(sums) != workers {
				t.Fatal(sums, err)
			}
			for _, sum := range sums {
				if sum != size/8 {
					t.Error(sum)
				}
			}
		}
		n := proportional(t, append(pids(ex), os.Getpid())...)
		closeWithin(t, ex)
		return n, made, took
	}
	without, _, took := uses()
	with, made, tookWith := uses(futures.WithGlobal(table, xs))
	t.Logf("%d processes: %.2f GiB without it, %.2f GiB with it; a copy into fresh memory %v, the executor %v, the start %v without it and %v with it",
		workers, float64(without)/size, float64(with)/size, copied, made, took, tookWith)
	if with > without+size+size/10 {
		t.Errorf("it takes %.2f GiB in place of one", float64(with-without)/size)
	}
}
