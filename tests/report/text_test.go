package report_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/report"
	"github.com/rankpool/rankpool/internal/trace"
)

var update = flag.Bool("update", false, "make the recordings in testdata anew")

// prepared returns the path of a recording in testdata.
func prepared(t *testing.T, name string, s simulation) string {
	t.Helper()
	path := "testdata/" + name + ".rec"
	if *update {
		os.Remove(path)
		s.run(t, path)
	}
	return path
}

func text(t *testing.T, path string) (*report.Recording, string) {
	t.Helper()
	r, err := report.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	return r, b.String()
}

func says(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing:\n%s", w, text)
		}
	}
}

// Who has never seen a report has to find this in its first lines.
func TestTheReportBeginsWithTheStraggler(t *testing.T) {
	r, out := text(t, prepared(t, "straggler", straggler))
	head := strings.Join(strings.Split(out, "\n")[:10], "\n")
	says(t, head, "elapsed ", "workers 8", "Straggler: map 1, element 187 of simulate took 4.20s", "times the median of", "the others of its map had ended by 3.1",
		"waiting for the last tasks to end")
	says(t, out, "240 ", "simulate", "The slowest elements")
	tm := r.Times()
	if sum := tm.Busy + tm.Starting + tm.Nothing + tm.Straggler + tm.Way + tm.Drained + tm.Untold; sum < tm.Total*999/1000 || sum > tm.Total*1001/1000 {
		t.Errorf("%+v: the parts are %v of the total", tm, float64(sum)/float64(tm.Total))
	}
	if tm.Straggler < int64(7*time.Second) || tm.Nothing > int64(time.Second) {
		t.Errorf("%+v", tm)
	}
}

func TestTheReportNamesTheSlowHostTheFailuresAndTheLoss(t *testing.T) {
	r, out := text(t, prepared(t, "slowhost", slowHost))
	head := strings.Join(strings.Split(out, "\n")[:10], "\n")
	says(t, head, "Slow host: on node3 an element takes 2.1 times as long as elsewhere", "Lost: 1 worker, the first at", "(node1): killed by signal 9")
	says(t, out, "no convergence after 500 iterations", "element 110, on worker 10 (node3): no convergence", "which cost about 12.9s")
	if strings.Contains(head, "Straggler") {
		t.Errorf("an element of a slow host is called a straggler:\n%s", head)
	}
	if f := r.Functions[0]; f.Count != 599 || f.Failed != 6 || f.Lost != 1 {
		t.Errorf("%+v", f)
	}
}

// What was put together beyond half of the limit keeps to its function.
func TestAThinnedOutRecordingTellsOfEachFunctionWhatItDid(t *testing.T) {
	const n = 30000
	r, _ := text(t, simulation{workers: 4, perHost: 4, units: n, rounds: 4, functions: 2, limit: trace.LeastLimit,
		takes: func(_ string, x int) time.Duration { return time.Millisecond + time.Duration(x) }}.run(t, ""))
	if r.Thinned == 0 {
		t.Error("the recording was not thinned out")
	}
	for _, f := range r.Functions {
		if f.Count != 2*n {
			t.Errorf("%s: %d elements, want %d", f.Name, f.Count, 2*n)
		}
	}
	if len(r.Functions) != 2 {
		t.Errorf("%d functions", len(r.Functions))
	}
}
