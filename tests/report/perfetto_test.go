package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What Perfetto needs of an event is what this reads.
func TestPerfettoGetsASliceForEachUnitOnTheThreadOfItsWorker(t *testing.T) {
	r, _ := text(t, prepared(t, "straggler", straggler))
	var b bytes.Buffer
	if err := r.Perfetto(&b); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		TraceEvents []struct {
			Name, Ph string
			Ts, Dur  float64
			Pid, Tid int
			Args     map[string]any
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	slices, threads, found := 0, map[int]string{}, false
	for _, e := range doc.TraceEvents {
		switch e.Ph {
		case "X":
			slices++
			if e.Args["job"] == "map 1, element 187" {
				found = e.Dur > 4.1e6 && e.Dur < 4.3e6 && threads[e.Tid] == "worker 7 (node2)"
			}
		case "M":
			if e.Name == "thread_name" {
				threads[e.Tid], _ = e.Args["name"].(string)
			}
		}
	}
	if slices != 240 || len(threads) != 8 || !found {
		t.Errorf("%d slices, threads %v, the straggler is there: %v", slices, threads, found)
	}
}
