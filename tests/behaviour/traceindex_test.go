package behaviour_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/trace"
	"github.com/rankpool/rankpool/journal"
	"github.com/rankpool/rankpool/pool"
)

// placedArg is an element that knows its index in the input.
type placedArg struct {
	Index int
	How   string // it fails: for good, or once, or its process ends once
	Dir   string
}

var errPlaced = errors.New("it was told to fail")

func failsPlaced(index int) bool { return index%100 == 37 }

var (
	atIndex = futures.Register("atIndex", func(x placedArg) (int, error) {
		if x.How == "fails" {
			return 0, errPlaced
		}
		if x.How != "" {
			f, err := os.OpenFile(filepath.Join(x.Dir, fmt.Sprint(x.Index)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			switch {
			case errors.Is(err, os.ErrExist):
				return x.Index, nil
			case err != nil:
				return 0, err
			}
			f.Close()
			if x.How == "exit" {
				os.Exit(3)
			}
			return 0, &InputError{x.Index, "busy"}
		}
		return x.Index, nil
	})
	plainAtIndex = futures.Register("plainAtIndex", func(x int) (int, error) { // of numbers a slice is submitted in parts
		if failsPlaced(x) {
			return 0, errPlaced
		}
		return x, nil
	})
)

// ranAs is what a recording tells of one map.
type ranAs struct {
	told         int // how often that it was queued
	elements     int
	ran, good    map[int]bool // elements that have ended, and those of them that have succeeded
	failed, lost []int        // by index
	why          []int        // elements of which a failure is told
	strange      string
}

// mapsOf returns what a recording tells of the maps, by their numbers.
func mapsOf(t *testing.T, path string) map[int]*ranAs {
	t.Helper()
	all := map[int]*ranAs{}
	byJob := map[uint64]*ranAs{}
	of := func(e *trace.Event) *ranAs {
		if byJob[e.Job] == nil {
			t.Errorf("no map was told of as job %d: %+v", e.Job, e)
			byJob[e.Job] = &ranAs{ran: map[int]bool{}, good: map[int]bool{}}
		}
		return byJob[e.Job]
	}
	calls := map[uint64]bool{}
	for _, e := range recordingOf(t, path) {
		e := &e
		switch e.Kind {
		case trace.JobQueued:
			if byJob[e.Job] == nil {
				byJob[e.Job] = &ranAs{ran: map[int]bool{}, good: map[int]bool{}}
			}
			m := byJob[e.Job]
			m.told++
			m.elements = e.Count
			all[e.Map] = m
		case trace.UnitsRan:
			if e.Func != "" && byJob[e.Job] == nil { // a call
				calls[e.Job] = true
				continue
			}
			m := of(e)
			for i := e.First; i < e.First+e.Count; i++ {
				switch e.Outcome {
				case trace.Lost:
					m.lost = append(m.lost, i)
				case trace.Failed:
					m.failed = append(m.failed, i)
				default:
					if m.good[i] {
						m.strange = fmt.Sprintf("element %d succeeded twice", i)
					}
					m.good[i] = true
				}
				if e.Outcome != trace.Lost {
					m.ran[i] = true
				}
			}
		case trace.UnitFailed:
			m := of(e)
			m.why = append(m.why, e.First)
		}
	}
	if len(calls) == 0 {
		t.Error("the calls are missing")
	}
	return all
}

// However a map is submitted, what a recording says of an element is told by its index in the input of the user.
func TestARecordingNamesAnElementByItsIndexInTheInput(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		const few, many = 150, 5000
		path := filepath.Join(t.TempDir(), "recording")
		ex := recordInto(t, b, path)
		p := pool.On(ex)
		dir := t.TempDir()
		input := func(how string) (xs []placedArg) {
			for i := range few {
				x := placedArg{Index: i, Dir: dir}
				if failsPlaced(i) {
					x.How = how
				}
				xs = append(xs, x)
			}
			return xs
		}
		numbers := make([]int, many)
		for i := range numbers {
			numbers[i] = i
		}
		xs := input("fails")
		chunk := futures.WithChunkSize(7)
		type testCase struct {
			name    string
			n       int              // elements
			told    int              // how many are told of when it is queued
			lacks   func(i int) bool // elements that need not run
			how     string
			results iter.Seq2[int, error]
		}
		read := func(c testCase) {
			t.Helper()
			for range 2 { // a call in front, so that jobs and maps are counted differently
				_ = result(t, submit(t, ex, square, 3))
			}
			var failed, want []int
			for i := range c.n {
				if failsPlaced(i) && c.how == "fails" {
					want = append(want, i)
				}
			}
			for _, err := range c.results {
				element := new(futures.ElementError)
				if errors.As(err, &element) {
					failed = append(failed, element.Index)
				} else if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			if slices.Sort(failed); !slices.Equal(failed, want) {
				t.Errorf("%s: elements %v failed, want %v", c.name, failed, want)
			}
		}
		known := filepath.Join(t.TempDir(), "journal")
		third := func(i int) bool { return i%3 == 0 && !failsPlaced(i) }
		var before []placedArg
		for _, x := range xs {
			if third(x.Index) {
				before = append(before, x)
			}
		}
		listed := func(f func() ([]int, error)) iter.Seq2[int, error] { // of a verb that returns all
			return func(yield func(int, error) bool) {
				all, err := f()
				var failed futures.ElementErrors
				if err != nil && !errors.As(err, &failed) {
					yield(0, err)
					return
				}
				for _, one := range failed {
					yield(0, one)
				}
				if len(all) != few {
					yield(0, fmt.Errorf("%d results", len(all)))
				}
			}
		}
		var cases []testCase
		of := func(name string, told int, results iter.Seq2[int, error]) {
			c := testCase{name: name, n: few, told: told, how: "fails", results: results}
			cases = append(cases, c)
			read(c)
		}
		c := testCase{name: "Map of numbers", n: many, told: many, how: "fails", results: futures.Map(within(t), ex, plainAtIndex, numbers)}
		cases = append(cases, c)
		read(c)
		of("Map", few, futures.Map(within(t), ex, atIndex, xs))
		of("Map in chunks", few, futures.Map(within(t), ex, atIndex, xs, chunk))
		of("Map of a sequence", 0, futures.Map(within(t), ex, atIndex, slices.Values(xs)))
		of("Map of a sequence in chunks", 0, futures.Map(within(t), ex, atIndex, slices.Values(xs), chunk))
		of("Map with a buffer", 0, futures.Map(within(t), ex, atIndex, xs, chunk, futures.WithBufferSize(3)))
		of("Map unordered", few, futures.Map(within(t), ex, atIndex, xs, futures.Unordered()))
		of("Starmap", few, futures.Starmap(within(t), ex, atIndex, xs, chunk))
		of("Pool.Map", few, listed(func() ([]int, error) { return pool.Map(within(t), p, atIndex, xs, pool.KeepGoing()) }))
		of("Pool.StarmapAsync", few, listed(func() ([]int, error) {
			r, err := pool.StarmapAsync(within(t), p, atIndex, xs, pool.KeepGoing())
			if err != nil {
				return nil, err
			}
			return r.Get(within(t))
		}))
		of("Imap", few, pool.Imap(within(t), p, atIndex, xs))
		of("ImapUnordered", 0, pool.ImapUnordered(within(t), p, atIndex, slices.Values(xs), chunk))
		of("IstarmapUnordered", few, pool.IstarmapUnordered(within(t), p, atIndex, xs, chunk))
		recorded(t, known, func(j *journal.Journal) {
			c := testCase{name: "what a journal is to have", n: len(before), told: len(before), results: futures.Map(within(t), ex, atIndex, before, futures.WithJournal(j))}
			cases = append(cases, c)
			read(c)
		})
		recorded(t, known, func(j *journal.Journal) {
			c := testCase{name: "Map with a journal", n: few, told: few, how: "fails", lacks: third, results: futures.Map(within(t), ex, atIndex, xs, chunk, futures.WithJournal(j))}
			cases = append(cases, c)
			read(c)
		})
		recorded(t, known, func(j *journal.Journal) { // what has failed alone is left
			c := testCase{name: "Map of a sequence with a journal", n: few, how: "fails", lacks: func(i int) bool { return !failsPlaced(i) }, results: futures.Map(within(t), ex, atIndex, slices.Values(xs), futures.WithJournal(j))}
			cases = append(cases, c)
			read(c)
		})
		busyOnes := input("once")
		c = testCase{name: "Map with retries", n: few, told: few, how: "once", results: futures.Map(within(t), ex, atIndex, busyOnes, futures.WithRetries(3, futures.RetryIf(busy)))}
		cases = append(cases, c)
		read(c)
		if dir = t.TempDir(); b.replaces {
			c = testCase{name: "Map that loses workers", n: few, told: few, how: "exit", results: futures.Map(within(t), ex, atIndex, input("exit"), chunk, futures.WithRetries(8))}
			cases = append(cases, c)
			read(c)
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		maps := mapsOf(t, path)
		for k, c := range cases {
			m := maps[k+1]
			if m == nil {
				t.Errorf("%s: it is not map %d", c.name, k+1)
				continue
			}
			if m.told != 1 || m.elements != c.told || m.strange != "" {
				t.Errorf("%s: told of %d times, with %d elements, want %d; %s", c.name, m.told, m.elements, c.told, m.strange)
			}
			ran := 0
			for i := range c.n {
				if c.lacks == nil || !c.lacks(i) {
					if ran++; !m.ran[i] {
						t.Errorf("%s: element %d has not run", c.name, i)
					}
				}
				if !failsPlaced(i) || c.how == "" {
					continue
				}
				switch told := slices.Contains(m.why, i); c.how {
				case "exit":
					if !slices.Contains(m.lost, i) {
						t.Errorf("%s: element %d was not lost, but %v", c.name, i, m.lost)
					}
				default:
					if !told || !slices.Contains(m.failed, i) {
						t.Errorf("%s: element %d has not failed, but of %v the elements %v", c.name, i, m.failed, m.why)
					}
				}
			}
			for i := range m.ran {
				if i < 0 || i >= c.n || c.lacks != nil && c.lacks(i) {
					t.Errorf("%s: element %d ran", c.name, i)
				}
			}
			for _, i := range m.why {
				if !failsPlaced(i) || c.how == "" {
					t.Errorf("%s: element %d is said to have failed", c.name, i)
				}
			}
			if len(m.ran) != ran {
				t.Errorf("%s: %d elements ran, want %d", c.name, len(m.ran), ran)
			}
		}
	})
}

// The calls of a gang are told apart by their ranks.
func TestARecordingNamesTheCallsOfAGangByTheirRanks(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		ex := recordInto(t, b, path)
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		f, err := futures.SubmitEach(ex, square, 3)
		if err != nil {
			t.Fatal(err)
		}
		members := len(result(t, f))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		ranks, jobs := map[int]int{}, map[uint64]bool{}
		for _, e := range recordingOf(t, path) {
			if e.Kind == trace.UnitsRan && e.Func == "square" {
				ranks[e.First] += e.Count
				jobs[e.Job] = true
			}
		}
		if len(ranks) != members || len(jobs) != 1 || !jobs[2] {
			t.Errorf("%d members, ranks %v of jobs %v", members, ranks, jobs)
		}
		for rank, n := range ranks {
			if rank < 0 || rank >= members || n != 1 {
				t.Errorf("%d calls of rank %d", n, rank)
			}
		}
	})
}
