package behaviour_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/trace"
)

// tracedArg says what an element of a recorded map does.
type tracedArg struct {
	Fails bool
	Takes time.Duration
}

var inRecording = futures.Register("inRecording", func(a tracedArg) (int, error) {
	time.Sleep(a.Takes)
	if a.Fails {
		return 0, errors.New("it was told to fail")
	}
	return 1, nil
})

// recordingOf reads a recording when the executors in it have ended. Close waits only a moment until that is written.
func recordingOf(t *testing.T, path string) (all []trace.Event) {
	t.Helper()
	var cut bool
	var err error
	eventually(t, "the executors end in the recording", func() bool {
		all = nil
		open := 0
		f, e := os.Open(path)
		if e != nil {
			t.Fatal(e)
		}
		defer f.Close()
		_, cut, err = trace.Read(f, func(e *trace.Event) error {
			switch e.Kind {
			case trace.PoolBegins:
				open++
			case trace.PoolEnds:
				open--
			}
			c := *e
			c.Counters, c.Run = nil, nil
			all = append(all, c)
			return nil
		})
		return err != nil || open == 0 && len(all) > 0
	})
	if cut || err != nil {
		t.Fatalf("cut %v, %v", cut, err)
	}
	return all
}

func recordInto(t *testing.T, b backend, file string) futures.Executor {
	t.Helper()
	return b.start(t, max(b.workers, 2), futures.WithTrace(file))
}

func TestARecordingTellsWhatRanWhereAndWhen(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		ex := recordInto(t, b, path)
		args := make([]tracedArg, 100)
		args[70].Fails = true
		args[30].Takes = 50 * time.Millisecond
		bad := 0
		for _, err := range futures.Map(within(t), ex, inRecording, args) {
			if err != nil {
				bad++
			}
		}
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		tiny := make([]int, 50000)
		for _, err := range futures.Map(within(t), ex, square, tiny) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := ex.Close(); err != nil || bad != 1 {
			t.Fatal(err, bad)
		}
		jobs := map[uint64]string{}
		done, failed := map[string]int{}, map[string]int{}
		seen := map[int]bool{}
		phases := map[trace.Phase]int{}
		bounds, texts, records := 0, 0, 0
		busy, long := map[int]time.Duration{}, -1 // in the first map, by worker; which had the long element
		for _, e := range recordingOf(t, path) {
			switch e.Kind {
			case trace.JobQueued:
				jobs[e.Job] = e.Func
			case trace.WorkerIs:
				phases[e.Phase]++
				if e.Phase == trace.Ready && (e.Host == "" || e.Pid == 0) {
					t.Errorf("a worker is nowhere: %+v", e)
				}
			case trace.ClockKnown:
				bounds++
			case trace.UnitFailed:
				texts++
				if e.First != 70 || e.Text == "" || jobs[e.Job] != "inRecording" {
					t.Errorf("failure: %+v", e)
				}
			case trace.UnitsRan:
				name := e.Func
				if name == "" {
					name = jobs[e.Job]
				}
				if e.Queued > e.At || e.At > e.Begun || e.Begun > e.Ended || e.Ended > e.Answered {
					t.Errorf("out of order: %+v", e)
				}
				if e.Outcome == trace.Failed {
					failed[name] += e.Count
					if e.First != 70 {
						t.Errorf("element %d failed", e.First)
					}
				} else {
					done[name] += e.Count
				}
				records++
				if name == "inRecording" && e.Job == 1 {
					for i := range e.Count {
						if seen[e.First+i] {
							t.Errorf("element %d ran twice", e.First+i)
						}
						seen[e.First+i] = true
					}
					busy[e.Worker] += e.Busy
					if e.First <= 30 && 30 < e.First+e.Count {
						long = e.Worker
					}
				}
			}
		}
		if done["inRecording"] != 100 || failed["inRecording"] != 1 || done["square"] != len(tiny) || len(seen) != 100 || texts != 1 {
			t.Errorf("done %v, failed %v, %d elements, %d texts", done, failed, len(seen), texts)
		}
		if long < 0 || busy[long] < args[30].Takes { // its own time is an estimate where those before it were told of in advance
			t.Errorf("worker %d, of the long element, was busy for %v", long, busy)
		}
		if n := phases[trace.Ready]; n < 2 || phases[trace.Left] != n && b.apart || phases[trace.Died] > 0 || bounds == 0 {
			t.Errorf("phases %v, %d bounds", phases, bounds)
		}
		if records > len(tiny)/10 {
			t.Errorf("%d records: tiny units are told of one by one", records)
		}
	})
}

func TestTwoExecutorsOfAProgramRecordIntoOneFile(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		for range 2 { // one after the other: ranks serve one at a time
			ex := recordInto(t, b, path)
			_ = result(t, submit(t, ex, inRecording, tracedArg{}))
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
		}
		pools := map[int]int{}
		for _, e := range recordingOf(t, path) {
			if e.Kind == trace.UnitsRan {
				pools[e.Pool] += e.Count
			}
		}
		if len(pools) != 2 || pools[1] != 1 || pools[2] != 1 {
			t.Errorf("calls by pool: %v", pools)
		}
	})
}

// The shutdown gives up, and the tasks go on.
func TestARecordingGoesOnWhenAShutdownHasWaitedInVain(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		ex := recordInto(t, b, path)
		p := place{t.TempDir() + "/begun", newGate(t)}
		f := submit(t, ex, announce, p)
		hasBegun(t, p)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ex.Shutdown(over); err == nil {
			t.Fatal("it is shut down, and a task runs")
		}
		p.Gate.open()
		result(t, f)
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, e := range recordingOf(t, path) {
			if e.Kind == trace.UnitsRan && e.Outcome == trace.Succeeded {
				ran += e.Count
			}
		}
		if ran != 1 {
			t.Errorf("%d tasks ran", ran)
		}
	})
}

func TestARecordingTellsOfALostWorkerAndItsTask(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		ex := recordInto(t, b, path)
		_, err := submit(t, ex, leaves, 0).Result(within(t))
		matches(t, "the task", err, futures.ErrBroken)
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		died, lost, ready := map[int]bool{}, 0, 0 // processes, tasks, workers
		for _, e := range recordingOf(t, path) {
			if e.Kind == trace.WorkerIs && e.Phase == trace.Died {
				died[e.Pid] = true // with slots several workers
				if e.Text == "" || e.Pid == 0 {
					t.Errorf("%+v", e)
				}
			}
			if e.Kind == trace.WorkerIs && e.Phase == trace.Ready {
				ready++
			}
			if e.Kind == trace.UnitsRan && e.Outcome == trace.Lost {
				lost++
				if e.Func != "leaves" {
					t.Errorf("%+v", e)
				}
			}
		}
		if len(died) != 1 || lost != 1 || ready < 2 {
			t.Errorf("processes %v died, %d tasks were lost, %d were ready", died, lost, ready)
		}
	}, apart, replaces)
}

// The variable is for the program, and not for what its tasks make.
func TestTheVariableNamesTheRecording(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path := filepath.Join(t.TempDir(), "recording")
		t.Setenv("RANKPOOL_TRACE", path)
		ex := b.start(t, max(b.workers, 2))
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(recordingOf(t, path)); n < 4 {
			t.Errorf("%d events", n)
		}
		none := b.start(t, max(b.workers, 2), futures.WithTrace(""))
		before := len(recordingOf(t, path))
		_ = result(t, submit(t, none, inRecording, tracedArg{}))
		if err := none.Close(); err != nil {
			t.Fatal(err)
		}
		if after := len(recordingOf(t, path)); after != before {
			t.Errorf("WithTrace(\"\") records: %d events and then %d", before, after)
		}
		t.Setenv("RANKPOOL_TRACE_LIMIT", "a lot")
		ill := b.start(t, max(b.workers, 2))
		if err := ill.Start(); err == nil || !contains(err, "RANKPOOL_TRACE_LIMIT") {
			t.Error(err)
		}
	})
}
