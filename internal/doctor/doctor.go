// Package doctor examines the MPI and the machine that it runs on, with small MPI programs of its own, and says what to do about what
// does not work.
package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Verdict is how good a finding is.
type Verdict string

// The verdicts.
const (
	fine    Verdict = "ok"
	warning Verdict = "warn"
	Broken  Verdict = "fail"
)

// Finding is one thing that the doctor has looked at.
type Finding struct {
	Subject string             `json:"subject"`
	Status  Verdict            `json:"status"`
	Text    string             `json:"finding"`
	Advice  string             `json:"advice,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"` // figures, in seconds, bytes, bytes per second, or counts
}

// findings collects what several goroutines find.
type findings struct {
	mu     sync.Mutex
	all    []Finding
	doing  []string // what has begun and not ended, for when the time is over
	closed bool
}

func (f *findings) add(new ...Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.all = append(f.all, new...)
	}
}

// during notes that something has begun, until the function it returns is called.
func (f *findings) during(what string) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doing = append(f.doing, what)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, d := range f.doing {
			if d == what {
				f.doing = append(f.doing[:i], f.doing[i+1:]...)
				return
			}
		}
	}
}

// close ends the collection. What has not ended by now is a finding too.
func (f *findings) close() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, d := range f.doing {
		f.all = append(f.all, Finding{"time", Broken, d + " did not end in time", "see the findings above; a firewall between hosts, " +
			"a host name that resolves to a wrong address and a file system that hangs are the usual causes", nil})
	}
	return f.all
}

// doctorLimit is what the examination takes at most unless told otherwise; printing and killing come on top. The limits of its parts go with it.
const doctorLimit = 55 * time.Second

// Options say what is examined, and for how long.
type Options struct {
	Mpiexec string        // the one to examine; empty: the one on the path
	Limit   time.Duration // 0: doctorLimit. With a longer one each part may take longer, for a machine that is busy
}

// Report is what an examination has found.
type Report struct {
	Version  string    `json:"version"`
	Host     string    `json:"host"`
	Seconds  float64   `json:"seconds"`
	Status   Verdict   `json:"status"` // the worst of the findings
	Findings []Finding `json:"findings"`
}

// Examine examines the MPI and the machine that this process runs on. It blocks until that is done, until the limit, or until ctx
// ends, when the cause is the error.
func Examine(stoppable context.Context, s command.Surroundings, o Options) (*Report, error) {
	begin := time.Now()
	limit := cmp.Or(o.Limit, doctorLimit)
	ctx, cancel := context.WithTimeout(stoppable, limit)
	defer cancel()
	d := &doctor{Surroundings: s, mpiexec: o.Mpiexec, findings: new(findings), slowness: float64(limit) / float64(doctorLimit)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.examine(ctx)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		select { // what was started is being killed
		case <-ended:
		case <-time.After(3 * time.Second):
		}
	}
	if stoppable.Err() != nil {
		return nil, context.Cause(stoppable)
	}
	all := d.findings.close()
	host, _ := os.Hostname()
	return &Report{Version: command.Version(), Host: host, Seconds: time.Since(begin).Seconds(), Status: worst(all), Findings: all}, nil
}

// worst is the worst verdict of all.
func worst(all []Finding) Verdict {
	w := fine
	for _, f := range all {
		if f.Status == Broken || w == fine {
			w = f.Status
		}
	}
	return w
}

// WriteJSON prints a report as one object. A reader that has gone away is nobody to tell.
func (r *Report) WriteJSON(w io.Writer) {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(r)
}

// WriteText prints a report for a reader.
func (r *Report) WriteText(w io.Writer) {
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%-4s  %-11s %s\n", f.Status, f.Subject, command.Indent(f.Text))
		if f.Advice != "" {
			fmt.Fprintf(w, "%18s-> %s\n", "", command.Indent(f.Advice))
		}
	}
}

// doctor is one examination.
type doctor struct {
	command.Surroundings
	mpiexec  string // as given
	findings *findings
	slowness float64 // how much longer than usual each part may take, if it is more than 1

	family mpi.Family // of the library that the ranks loaded; OtherMPI until that is known
}

// limit is what a part that usually takes less than that may take.
func (d *doctor) limit(usual time.Duration) time.Duration {
	return time.Duration(float64(usual) * max(d.slowness, 1))
}

// examine looks at everything, until ctx ends.
func (d *doctor) examine(ctx context.Context) {
	if !command.Speaks(d.Launcher) {
		if mpi.Built {
			d.inJob(ctx)
		}
		return
	}
	d.command()
	var aside sync.WaitGroup
	aside.Go(func() {
		defer d.findings.during("looking up this host's name")()
		d.findings.add(resolution(ctx))
	})
	switch {
	case d.Launcher.Found() && mpi.Built:
		d.inJob(ctx)
	case d.Launcher.Found():
		d.findings.add(Finding{"launcher", fine, d.Launcher.String(), "", nil})
	default:
		d.fromOutside(ctx)
	}
	aside.Wait()
	d.findings.add(scheduler(os.LookupEnv), d.building(ctx))
}
