//go:build unix

package futures_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	benchInc  = futures.Register("benchInc", func(x int) (int, error) { return x + 1, nil })
	benchEcho = futures.Register("benchEcho", func(x []float64) ([]float64, error) { return x, nil })
	benchHold = futures.Register("benchHold", holdUntilGone)

	benchPass  = futures.Register("benchPass", func(x map[string][]string) (map[string][]string, error) { return x, nil })
	benchSmall = futures.Register("benchSmall", func(x benchPoint) (benchPoint, error) { return x, nil })
	benchCoded = futures.Register("benchCoded", func(x benchBlob) (benchBlob, error) { return x, nil })
)

// holdUntilGone keeps its worker until a file is gone.
func holdUntilGone(path string) (bool, error) {
	for {
		if _, err := os.Stat(path); err != nil {
			return true, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

type newExecutor func(...futures.Option) (futures.Executor, error)

func onProcesses(opts ...futures.Option) (futures.Executor, error) {
	return futures.NewProcessPoolExecutor(opts...)
}

func onThreads(opts ...futures.Option) (futures.Executor, error) {
	return futures.NewThreadPoolExecutor(opts...)
}

var benchBackends = []struct {
	name string
	make newExecutor
}{{"processes", onProcesses}, {"threads", onThreads}}

// overBackends runs a benchmark on one worker of each kind.
func overBackends(b *testing.B, bench func(b *testing.B, ex futures.Executor)) {
	for _, backend := range benchBackends {
		b.Run(backend.name, func(b *testing.B) {
			ex, err := backend.make(futures.WithMaxWorkers(1))
			if err != nil {
				b.Fatal(err)
			}
			defer ex.Close()
			if err := ex.Bootup(b.Context()); err != nil {
				b.Fatal(err)
			}
			for range 100 { // the function's time is measured
				benchCall(b, ex, 0)
			}
			bench(b, ex)
		})
	}
}

func benchCall(b *testing.B, ex futures.Executor, x int) {
	f, err := futures.Submit(ex, benchInc, x)
	if err != nil {
		b.Fatal(err)
	}
	if y, err := f.Result(context.Background()); err != nil || y != x+1 {
		b.Fatal(y, err)
	}
}

// All tasks are submitted, then all results are collected.
func BenchmarkSubmitThenCollect(b *testing.B) {
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		b.ReportAllocs()
		fs := make([]*futures.Future[int], b.N)
		b.ResetTimer()
		for i := range fs {
			f, err := futures.Submit(ex, benchInc, i)
			if err != nil {
				b.Fatal(err)
			}
			fs[i] = f
		}
		for i, f := range fs {
			if y, err := f.Result(context.Background()); err != nil || y != i+1 {
				b.Fatal(y, err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
	})
}

// One task at a time, its result awaited.
func BenchmarkLatency(b *testing.B) {
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		b.ReportAllocs()
		all := make([]time.Duration, 0, b.N)
		for i := range b.N {
			t := time.Now()
			benchCall(b, ex, i)
			all = append(all, time.Since(t))
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds()), "p50-ns")
		b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds()), "p99-ns")
	})
}

func BenchmarkMap(b *testing.B) {
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		b.ReportAllocs()
		xs := make([]int, b.N)
		b.ResetTimer()
		for y, err := range futures.Map(b.Context(), ex, benchInc, xs) {
			if err != nil || y != 1 {
				b.Fatal(y, err)
			}
		}
	})
}

func BenchmarkEchoOf16MiB(b *testing.B) {
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		x := make([]float64, 16<<20/8)
		b.SetBytes(2 * 16 << 20)
		for b.Loop() {
			f, err := futures.Submit(ex, benchEcho, x)
			if err != nil {
				b.Fatal(err)
			}
			if y, err := f.Result(context.Background()); err != nil || len(y) != len(x) {
				b.Fatal(err)
			}
		}
	})
}

// A chain of eight calls, each of which takes the result of the one before: the time for each of them.
func BenchmarkChain(b *testing.B) {
	for _, mib := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(mib, "MiB"), func(b *testing.B) { benchChain(b, benchEcho, make([]float64, mib<<20/8)) })
	}
	words := map[string][]string{}
	for i := range 1000 {
		words[fmt.Sprint(i)] = slices.Repeat([]string{"some words of it"}, 100)
	}
	b.Run("words", func(b *testing.B) { benchChain(b, benchPass, words) })
	b.Run("coded", func(b *testing.B) { benchChain(b, benchCoded, benchBlob{make([]uint16, 1<<20)}) })
	b.Run("small", func(b *testing.B) { benchChain(b, benchSmall, benchPoint{1, 2, 3}) })
}

// benchPoint is a small value.
type benchPoint struct{ X, Y, Z float64 }

// benchBlob is a value that encodes itself, in its own way.
type benchBlob struct{ xs []uint16 }

func (x benchBlob) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, 2*len(x.xs))
	for _, v := range x.xs {
		b = append(b, byte(v), byte(v>>8))
	}
	return b, nil
}

func (x *benchBlob) UnmarshalBinary(b []byte) error {
	x.xs = make([]uint16, len(b)/2)
	for i := range x.xs {
		x.xs[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return nil
}

func benchChain[T any](b *testing.B, fn futures.Func[T, T], x T) {
	const calls = 8
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		b.ReportAllocs()
		for b.Loop() {
			p := futures.NewPromise[T]()
			f := p.Future()
			for range calls {
				next, err := futures.SubmitAfter(ex, fn, f)
				if err != nil {
					b.Fatal(err)
				}
				f = next
			}
			if err := p.SetResult(x); err != nil {
				b.Fatal(err)
			}
			if _, err := f.Result(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(calls*b.N), "us/call")
	})
}

// The master's heap while tasks wait behind one that does not end.
func BenchmarkHeapPerPendingFuture(b *testing.B) {
	overBackends(b, func(b *testing.B, ex futures.Executor) {
		gate, err := os.CreateTemp(b.TempDir(), "gate")
		if err != nil {
			b.Fatal(err)
		}
		gate.Close()
		for b.Loop() {
			held, err := futures.Submit(ex, benchHold, gate.Name())
			if err != nil {
				b.Fatal(err)
			}
			const n = 1_000_000
			fs := make([]*futures.Future[int], n)
			before := heap()
			for i := range fs {
				if fs[i], err = futures.Submit(ex, benchInc, i); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((heap()-before)/n, "B/future")
			os.Remove(gate.Name())
			if _, err := held.Result(context.Background()); err != nil {
				b.Fatal(err)
			}
			if _, err := fs[n-1].Result(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// The master's processor time in ten seconds with the executor alive and nothing in flight, and beside it that of this
// program without one.
func BenchmarkIdleFor10s(b *testing.B) {
	idle := func(b *testing.B) {
		for b.Loop() {
			debug.FreeOSMemory() // what the start left behind is not the cost of waiting
			before := processorTime()
			time.Sleep(10 * time.Second)
			b.ReportMetric(float64((processorTime() - before).Microseconds()), "cpu-us")
		}
	}
	b.Run("none", idle)
	overBackends(b, func(b *testing.B, _ futures.Executor) { idle(b) })
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
