package behaviour_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestWorkersAreReplacedAfterSoManyTasksAndTheOrderIsKept(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		greet := futures.WithInitializer(remember, "kept")
		ex := b.start(t, 2, futures.WithMaxTasksPerChild(3), greet)
		if b.reports == "mpi" {
			if _, err := futures.Submit(ex, square, 1); err == nil || !contains(err, "WithMaxTasksPerChild") || !contains(err, "MPI") {
				t.Errorf("refused with %v", err)
			}
			return
		}
		const n = 40
		x := 0
		for v, err := range futures.Map(within(t), ex, square, upTo(n), futures.WithChunkSize(2)) {
			if err != nil || v != x*x {
				t.Fatal(x, v, err)
			}
			x++
		}
		pids := map[int]int{}
		for range n {
			pids[result(t, submit(t, ex, pid, struct{}{}))]++
			if s := result(t, submit(t, ex, remembered, struct{}{})); s.Arg != "kept" {
				t.Fatal("a worker's initializer has not run:", s)
			}
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		s := ex.Stats()
		if s.Done != n/2+2*n || s.Failed+s.Cancelled+s.Lost > 0 || s.Restarts < (n/2+2*n)/3-2 || x != n {
			t.Errorf("%d results, %+v", x, s)
		}
		for pid, tasks := range pids {
			if b.apart && (tasks > 3 || pid == os.Getpid()) {
				t.Errorf("process %d ran %d tasks and more", pid, tasks)
			}
		}
	})
}

func TestAWorkerRunsAtLeastOneTask(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, n := range []int{0, -1} {
			if _, err := b.make(futures.WithMaxTasksPerChild(n)); err == nil || !strings.Contains(err.Error(), "at least 1 task") {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}
