// Command pools does the work of rankpool bench with the pools of others, in one process.
//
//	pools NAME,KIND,N,WORKERS ...
//
// KIND is ants, pond or conc (N tasks int → int, all submitted, then their results collected), or mapper (conc's
// iter.Mapper over N elements).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/iter"
	"github.com/sourcegraph/conc/pool"
)

// mark begins a line that rankpool bench reads.
const mark = "RANKPOOL-BENCH "

// kinds run n tasks and return the results, in any order.
var kinds = map[string]func(n, workers int) ([]int, error){
	"ants": ofAnts, "pond": ofPond, "conc": ofConc, "mapper": ofMapper,
}

func main() {
	for _, spec := range os.Args[1:] {
		if err := measure(spec); err != nil {
			fmt.Fprintln(os.Stderr, "pools:", err)
			os.Exit(1)
		}
	}
}

func measure(spec string) error {
	words := strings.Split(spec, ",")
	if len(words) != 4 || kinds[words[1]] == nil {
		return fmt.Errorf("%q is not NAME,KIND,N,WORKERS with a KIND of ants, pond, conc or mapper", spec)
	}
	n, err := strconv.Atoi(words[2])
	if err != nil {
		return err
	}
	workers, err := strconv.Atoi(words[3])
	if err != nil {
		return err
	}
	run := kinds[words[1]]
	if _, err := run(1000, workers); err != nil {
		return err
	}
	debug.FreeOSMemory()
	allocated := mallocs()
	begin := time.Now()
	results, err := run(n, workers)
	took := time.Since(begin).Seconds()
	if err != nil {
		return err
	}
	allocations := float64(mallocs()-allocated) / float64(n)
	sum := 0
	for _, y := range results {
		sum += y
	}
	if want := n * (n + 1) / 2; sum != want {
		return fmt.Errorf("%s: the results add up to %d, not to %d", spec, sum, want)
	}
	text, err := json.Marshal(map[string]float64{
		words[0] + ".per_second": float64(n) / took, words[0] + ".each": took / float64(n), words[0] + ".allocations": allocations,
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s%s\n", mark, text)
	return nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func add(x int) int { return x + 1 }

// ofAnts stores the results itself: its tasks have none.
func ofAnts(n, workers int) ([]int, error) {
	p, err := ants.NewPool(workers)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	results := make([]int, n)
	var all sync.WaitGroup
	all.Add(n)
	for i := range n {
		err := p.Submit(func() {
			results[i] = add(i)
			all.Done()
		})
		if err != nil {
			return nil, err
		}
	}
	all.Wait()
	return results, nil
}

func ofPond(n, workers int) ([]int, error) {
	p := pond.NewResultPool[int](workers)
	defer p.StopAndWait()
	tasks := make([]pond.ResultTask[int], n)
	for i := range tasks {
		tasks[i] = p.Submit(func() int { return add(i) })
	}
	results := make([]int, n)
	for i, t := range tasks {
		var err error
		if results[i], err = t.Wait(); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func ofConc(n, workers int) ([]int, error) {
	p := pool.NewWithResults[int]().WithMaxGoroutines(workers)
	for i := range n {
		p.Go(func() int { return add(i) })
	}
	return p.Wait(), nil
}

func ofMapper(n, workers int) ([]int, error) {
	xs := make([]int, n)
	for i := range xs {
		xs[i] = i
	}
	return iter.Mapper[int, int]{MaxGoroutines: workers}.Map(xs, func(x *int) int { return add(*x) }), nil
}
