package futures_test

import (
	"iter"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/journal"
)

// liveBytes is what the process of a task, or of a test, has in its heap that is in use.
func liveBytes() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// askHeap is what a task is given that is to tell the heap of its process.
const askHeap = -1

var countOrHeap = futures.Register("endless.countOrHeap", func(x int) (int, error) {
	if x == askHeap {
		return liveBytes(), nil
	}
	return x + 1, nil
})

// slack is by how much the heap may differ between two moments in which the same is kept: caches, pools and what is on its way. With a file,
// also what waits for a disk that is busy. A job that is kept is 370 bytes.
const (
	slack     = 1 << 20
	slackFile = 4 << 20
)

// indexBytes is what an entry of a journal's index may take: see docs/long-jobs.md.
const indexBytes = 40

// lengths are after how many elements the heap is measured.
func lengths() (short, long int) {
	if testkit.Race {
		return 2_000, 20_000
	}
	return 20_000, 200_000
}

// numbers is a sequence without end.
var numbers iter.Seq[int] = func(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

func TestAMapOfAnEndlessSequenceKeepsNothingOfWhatWasRead(t *testing.T) {
	short, long := lengths()
	made := map[string]func(...futures.Option) (futures.Executor, error){
		"goroutines": func(o ...futures.Option) (futures.Executor, error) { return futures.NewThreadPoolExecutor(o...) },
		"processes":  func(o ...futures.Option) (futures.Executor, error) { return futures.NewProcessPoolExecutor(o...) },
	}
	type kind struct {
		name     string
		journal  bool
		recorded bool
		opts     []futures.MapOption
	}
	for backend, newExecutor := range made {
		for _, k := range []kind{
			{name: "in order"}, {name: "unordered", opts: []futures.MapOption{futures.Unordered()}}, {name: "in chunks", opts: []futures.MapOption{futures.WithChunkSize(50)}},
			{name: "with a journal", journal: true}, {name: "with a recording", recorded: true},
		} {
			t.Run(backend+"/"+k.name, func(t *testing.T) {
				opts, each, slack := []futures.Option{futures.WithMaxWorkers(2)}, 0, slack
				if k.recorded {
					opts = append(opts, futures.WithTrace(filepath.Join(t.TempDir(), "trace")))
					slack = slackFile
				}
				ex, err := newExecutor(opts...)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := ex.Close(); err != nil {
						t.Error(err)
					}
				}()
				options := k.opts
				if k.journal {
					j, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
					if err != nil {
						t.Fatal(err)
					}
					defer j.Close()
					options, each, slack = append(options, futures.WithJournal(j)), indexBytes, slackFile
				}
				n, master, worker := 0, 0, 0
				for v, err := range futures.Map(t.Context(), ex, countOrHeap, numbers, options...) {
					if n++; err != nil || v <= 0 {
						t.Fatal(n, v, err)
					}
					if n != short && n != long {
						continue
					}
					inMaster, inWorker := liveBytes(), workerHeap(t, ex)
					if n == short {
						master, worker = inMaster, inWorker
						continue
					}
					t.Logf("from %d to %d elements: the master from %d to %d bytes, a worker from %d to %d", short, long, master, inMaster, worker, inWorker)
					if grown := inMaster - master; grown > slack+each*(long-short) {
						t.Errorf("the master has grown by %d bytes, %.1f an element", grown, float64(grown)/float64(long-short))
					}
					if grown := inWorker - worker; grown > slack+each*(long-short) { // a goroutine's is the master's
						t.Errorf("a worker has grown by %d bytes, %.1f an element", grown, float64(grown)/float64(long-short))
					}
					return
				}
			})
		}
	}
}

// workerHeap is the most that a worker keeps of some that are asked.
func workerHeap(t *testing.T, ex futures.Executor) (most int) {
	t.Helper()
	for range 4 {
		f, err := futures.Submit(ex, countOrHeap, askHeap)
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.ResultWithin(testkit.Limit)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	return most
}

func TestAnEndlessChainOfCallsKeepsNothingOfThoseThatAreDone(t *testing.T) {
	short, long := lengths()
	short, long = short/10, long/10
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	first := futures.NewPromise[int]()
	if err := first.SetResult(0); err != nil {
		t.Fatal(err)
	}
	f, heap := first.Future(), 0
	for n := 1; n <= long; n++ {
		if f, err = futures.SubmitAfter(ex, countOrHeap, f); err != nil {
			t.Fatal(err)
		}
		if n%short != 0 {
			continue
		}
		if v, err := f.ResultWithin(testkit.Limit); v != n || err != nil {
			t.Fatal(v, err)
		}
		if n == short {
			heap = liveBytes()
		}
	}
	grown := liveBytes() - heap
	t.Logf("from %d to %d calls: %d bytes more", short, long, grown)
	if grown > slack {
		t.Errorf("%d bytes more", grown)
	}
}
