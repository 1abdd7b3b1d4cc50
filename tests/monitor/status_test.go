//go:build unix

package monitor_test

import (
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/status"
	"github.com/rankpool/rankpool/internal/testkit"
)

// statusOf returns that of the executors that are open, oldest first, when there are so many.
func statusOf(t *testing.T, executors int) []status.Executor {
	t.Helper()
	all := life.Status(100).Executors
	if len(all) != executors {
		t.Fatalf("%d executors, want %d: %+v", len(all), executors, all)
	}
	slices.SortFunc(all, func(a, b status.Executor) int { return a.Number - b.Number })
	return all
}

// soon waits until the status of the one executor is as it is to be, and returns it.
func soon(t *testing.T, what string, ok func(e status.Executor) bool) (e status.Executor) {
	t.Helper()
	testkit.Until(t, what, func() bool {
		all := life.Status(100).Executors
		if len(all) == 1 {
			e = all[0]
		}
		return len(all) == 1 && ok(e)
	})
	return e
}

func TestTheStatusTellsWhatEachWorkerRunsAndHowFarAMapIs(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		ex := start(t, backend, 2)
		g := newGate(t)
		orders := make([]order, 8)
		for i := range orders {
			orders[i] = order{Gate: string(g), Number: i, Pass: i < 4, Fail: i == 1}
		}
		failures := read(testkit.Within(t), ex, orders, futures.WithProgress(nil, "the orders"), alone)
		e := soon(t, "three have succeeded and one has failed", func(e status.Executor) bool {
			return len(e.Maps) == 1 && e.Maps[0].Done == 3 && e.Maps[0].Failed == 1 && e.Tasks.Done == 3 && e.Tasks.Failed == 1 && e.Workers.Busy == 2 && len(g.all(t)) == 2
		})
		if m := e.Maps[0]; m.Total != 8 || m.Name != "the orders" || m.Function != "obey" || m.Number != 1 || m.Left < 0 || m.Rate <= 0 {
			t.Errorf("%+v", m)
		}
		if e.Backend != backend || e.State != "serving" || e.Tasks.Queued != 2 || e.Tasks.Running != 2 || e.Tasks.Done != 3 || e.Tasks.Failed != 1 ||
			e.Workers.Total != 2 || e.Workers.Idle != 0 {
			t.Errorf("%+v", e)
		}
		if len(e.Functions) != 1 || e.Functions[0].Name != "obey" || e.Functions[0].Running != 2 {
			t.Errorf("functions %+v", e.Functions)
		}
		if len(e.Hosts) != 1 || e.Hosts[0].Workers != 2 || e.Hosts[0].Busy != 2 {
			t.Errorf("hosts %+v", e.Hosts)
		}
		var running []int
		for _, w := range e.Listed {
			if w.Runs == nil || w.Pid == 0 || w.Host == "" || w.Attempt != 1 || w.Rank != -1 || w.State != "busy" {
				t.Fatalf("%+v", w)
			}
			if r := w.Runs; r.Function != "obey" || r.Map != 1 || r.Elements != 1 || r.Since.After(time.Now()) || r.Waits || r.GivenUp {
				t.Errorf("%+v", *r)
			}
			running = append(running, w.Runs.Index)
		}
		if slices.Sort(running); !slices.Equal(running, g.all(t)) {
			t.Errorf("elements %v run, want %v", running, g.all(t))
		}
		g.open(t, "")
		if n := <-failures; n != 1 {
			t.Errorf("%d failures", n)
		}
		soon(t, "nothing runs", func(e status.Executor) bool {
			return len(e.Maps) == 0 && e.Workers.Idle == 2 && e.Tasks.Done == 7 && e.Listed[0].Runs == nil
		})
	})
}

func TestAChunkAndACallAreToldOfAsSuch(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		ex := start(t, backend, 1)
		g := newGate(t)
		orders := make([]order, 7)
		for i := range orders {
			orders[i] = order{Gate: string(g), Number: i, Pass: i != 4}
		}
		failures := read(testkit.Within(t), ex, orders, futures.WithChunkSize(3), alone)
		g.begun(t, 4)
		e := statusOf(t, 1)[0]
		if r := e.Listed[0].Runs; r == nil || r.Index != 3 || r.Elements != 3 || r.Map != 1 {
			t.Errorf("%+v, want the chunk from element 3 on", r)
		}
		g.open(t, "-4")
		if n := <-failures; n != 0 {
			t.Errorf("%d failures", n)
		}
		if _, err := futures.Submit(ex, obey, order{Gate: string(g), Number: 9}); err != nil {
			t.Fatal(err)
		}
		g.begun(t, 9)
		e = statusOf(t, 1)[0]
		if r := e.Listed[0].Runs; r == nil || r.Function != "obey" || r.Map != 0 || r.Elements != 1 || len(e.Maps) != 0 {
			t.Errorf("%+v, want a call; maps %+v", r, e.Maps)
		}
	})
}

// A slice is submitted whether its results are read or not: who drops them must not have the map under way for good.
func TestAMapThatNobodyReadsOrThatIsCutShortDoesNotStayUnderWay(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		ex := start(t, backend, 2)
		_ = futures.Map(testkit.Within(t), ex, obey, []order{{Pass: true}, {Fail: true}, {Pass: true}})
		soon(t, "all elements have come", func(e status.Executor) bool { return e.Tasks.Done == 2 && e.Tasks.Failed == 1 && len(e.Maps) == 0 })
		endless := iter.Seq[order](func(yield func(order) bool) {
			for yield(order{Pass: true}) {
			}
		})
		for _, err := range futures.Map(testkit.Within(t), ex, obey, endless) {
			if e := statusOf(t, 1)[0]; err != nil || len(e.Maps) != 1 || e.Maps[0].Total != -1 || e.Maps[0].Number != 2 {
				t.Errorf("%+v", e.Maps)
			}
			break
		}
		if e := statusOf(t, 1)[0]; len(e.Maps) != 0 {
			t.Errorf("%+v", e.Maps)
		}
	})
}

func TestTheStatusTellsOfALostWorker(t *testing.T) {
	ex := start(t, "processes", 2)
	g := newGate(t)
	f, err := futures.Submit(ex, obey, order{Gate: string(g), Number: 1, Die: true})
	if err != nil {
		t.Fatal(err)
	}
	g.begun(t, 1)
	var pid, number int
	for _, w := range statusOf(t, 1)[0].Listed {
		if w.Runs != nil {
			pid, number = w.Pid, w.Number
		}
	}
	g.open(t, "-1")
	if _, err := f.Result(testkit.Within(t)); err == nil {
		t.Fatal("it did not fail")
	}
	e := soon(t, "another has taken the place", func(e status.Executor) bool { return e.Workers.Idle == 2 })
	if e.Workers.Lost != 1 || e.Workers.Restarts != 1 || len(e.Losses) != 1 {
		t.Fatalf("%+v, %+v", e.Workers, e.Losses)
	}
	if l := e.Losses[0]; l.Worker != number || l.Pid != pid || pid == 0 || !strings.Contains(l.Cause, "signal") || l.At.After(time.Now()) {
		t.Errorf("%+v, want worker %d, process %d", l, number, pid)
	}
	if i := slices.IndexFunc(e.Listed, func(w status.Worker) bool { return w.Number == number }); e.Listed[i].Attempt != 2 {
		t.Errorf("%+v", e.Listed[i])
	}
}

func TestWorkersWhoseTasksWaitAreNotBusyAndLostOnesAreOnNoHost(t *testing.T) {
	g := status.Gather{Most: 10}
	g.Add(status.Worker{State: "busy", Host: "a", Runs: &status.Run{Function: "f", Waits: true}})
	g.Add(status.Worker{Number: 1, State: "busy", Host: "a", Runs: &status.Run{Function: "f"}})
	g.Add(status.Worker{Number: 2, State: "lost", Host: "b"})
	var e status.Executor
	g.Into(&e)
	if w := e.Workers; w.Total != 3 || w.Busy != 1 || w.Waiting != 1 || w.Missing != 1 {
		t.Errorf("%+v", w)
	}
	if len(e.Hosts) != 1 || e.Hosts[0] != (status.Host{Name: "a", Workers: 2, Busy: 1}) {
		t.Errorf("%+v", e.Hosts)
	}
}

func TestTwoExecutorsAreToldOfApart(t *testing.T) {
	one, two := start(t, "threads", 1), start(t, "processes", 2)
	g := newGate(t)
	for i, ex := range []futures.Executor{one, two} {
		if _, err := futures.Submit(ex, obey, order{Gate: string(g), Number: i}); err != nil {
			t.Fatal(err)
		}
		g.begun(t, i)
	}
	all := statusOf(t, 2)
	if all[0].Backend != "threads" || all[1].Backend != "processes" || all[0].Number == all[1].Number {
		t.Errorf("%+v", all)
	}
	if all[0].Workers.Busy != 1 || all[1].Workers.Busy != 1 || all[1].Workers.Total != 2 {
		t.Errorf("%+v", all)
	}
	text := life.Status(100)
	for _, want := range []string{": threads, serving", ": processes, serving", "1 busy", "obey"} {
		if s := text.Text(status.Limits{Workers: 10}); !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
}

func TestOnlySoManyWorkersAreListedThoseWithTheLongestTaskFirst(t *testing.T) {
	g := status.Gather{Most: 3}
	for i := range 1000 {
		w := status.Worker{Number: i, State: "idle", Host: "a"}
		if i%100 == 50 {
			w.State, w.Runs = "busy", &status.Run{Function: "f", Seconds: float64(i)}
		}
		g.Add(w)
	}
	var e status.Executor
	e.Workers.Lost = 7
	g.Into(&e)
	if len(e.Listed) != 3 || e.Listed[0].Number != 950 || e.Listed[2].Number != 750 || e.Workers.Total != 1000 || e.Workers.Busy != 10 || e.Workers.Lost != 7 ||
		e.Functions[0].Running != 10 || e.Functions[0].Longest != 950 || e.Hosts[0].Workers != 1000 || e.Hosts[0].Busy != 10 {
		t.Errorf("%+v", e)
	}
}

func TestTheTextHasNothingForATerminalToObeyAndIsAsWideAsAsked(t *testing.T) {
	p := status.Program{Program: "a\x1b[2Jb\nc", Executors: []status.Executor{{
		Number: 1, Backend: "processes", State: "serving", Workers: status.Workers{Total: 1, Busy: 1},
		Listed: []status.Worker{{State: "busy", Rank: -1, Runs: &status.Run{Function: strings.Repeat("ü", 300), Map: 1, Index: 5, Elements: 3}}},
		Maps:   []status.Map{{Number: 1, Function: "f", Name: "n", Total: 8, Done: 3, Failed: 1, Rate: 2, Left: 2}},
	}}}
	text := p.Text(status.Limits{Width: 60, Workers: 5})
	if strings.ContainsAny(text, "\x1b") || !strings.HasPrefix(text, "a?[2Jb?c on ") || !strings.Contains(text, "map 1, f (n): 4/8 (50%), 1 failed, 2/s, 2s left") {
		t.Errorf("%q", text)
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
