package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rankpool/rankpool/internal/trace"
)

// event is one of the Trace Event Format, which Perfetto and chrome://tracing read. Times are microseconds.
type event struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"`
	At    float64        `json:"ts"`
	Took  float64        `json:"dur,omitempty"`
	Pid   int            `json:"pid"`
	Tid   int            `json:"tid"`
	Scope string         `json:"s,omitempty"`
	Args  map[string]any `json:"args,omitempty"`
}

// Perfetto writes the recording for Perfetto: a process for each executor, a thread for each worker.
func (r *Recording) Perfetto(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	first := true
	var err error
	put := func(e event) {
		b, wrong := json.Marshal(e)
		if err == nil {
			err = wrong
		}
		if first {
			first = false
		} else {
			_, _ = out.WriteString(",\n")
		}
		_, _ = out.Write(b)
	}
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	_, _ = out.WriteString(`{"displayTimeUnit":"ms","traceEvents":[` + "\n")
	pids := map[*Pool]int{}
	for i, p := range r.Pools {
		pids[p] = i + 1
		put(event{Name: "process_name", Phase: "M", Pid: i + 1, Args: map[string]any{"name": fmt.Sprintf("executor %d: %s", p.Number, p.Kind)}})
		for _, w := range p.Workers {
			put(event{Name: "thread_name", Phase: "M", Pid: i + 1, Tid: w.Slot + 1, Args: map[string]any{"name": fmt.Sprintf("worker %d%s", w.Slot, onHost(w.Host))}})
			put(event{Name: "thread_sort_index", Phase: "M", Pid: i + 1, Tid: w.Slot + 1, Args: map[string]any{"sort_index": w.Slot}})
			for _, ph := range w.Phases {
				e := event{Name: ph.Phase.String(), Phase: "i", At: us(ph.At), Pid: i + 1, Tid: w.Slot + 1, Scope: "t"}
				if ph.Why != "" {
					e.Args = map[string]any{"why": ph.Why}
				}
				put(e)
			}
		}
		for _, c := range p.Counts {
			put(event{Name: "units", Phase: "C", At: us(c.At), Pid: i + 1, Args: map[string]any{"queued": c.Queued, "at workers": c.Running}})
		}
	}
	for i := range r.Units {
		u := &r.Units[i]
		args := map[string]any{"job": r.Element(u), "queued for": short(u.Sent - u.Queued), "sent for": short(u.Begun - u.Sent), "answered after": short(u.Answered - u.Ended)}
		if u.Count > 1 {
			args["elements"] = u.Count
		}
		if u.Attempt > 1 {
			args["attempt"] = u.Attempt
		}
		name := r.Functions[u.Function].Name
		if u.Outcome != trace.Succeeded {
			args["outcome"] = u.Outcome.String()
			name += " (" + u.Outcome.String() + ")"
		}
		put(event{Name: name, Phase: "X", At: us(u.Begun), Took: us(u.Ended - u.Begun), Pid: pids[u.Worker.Pool], Tid: u.Worker.Slot + 1, Args: args})
	}
	for _, f := range r.Failures {
		put(event{Name: "failure", Phase: "i", At: us(f.At), Pid: pids[f.Pool], Tid: f.Worker + 1, Scope: "t",
			Args: map[string]any{"element": r.elementName(f.Pool, f.Job, int64(f.Element), 1, false), "why": f.Text}})
	}
	_, _ = out.WriteString("\n]}\n")
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}
