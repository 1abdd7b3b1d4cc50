package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// verdict is how good a finding is.
type verdict string

// The verdicts.
const (
	fine    verdict = "ok"
	warning verdict = "warn"
	broken  verdict = "fail"
)

// finding is one thing that the doctor has looked at.
type finding struct {
	Subject string             `json:"subject"`
	Status  verdict            `json:"status"`
	Text    string             `json:"finding"`
	Remedy  string             `json:"remedy,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"` // figures, in seconds, bytes, bytes per second, or counts
}

// findings collects what several goroutines find.
type findings struct {
	mu     sync.Mutex
	all    []finding
	doing  []string // what has begun and not ended, for when the time is over
	closed bool
}

func (f *findings) add(new ...finding) {
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
func (f *findings) close() []finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, d := range f.doing {
		f.all = append(f.all, finding{"time", broken, d + " did not end in time", "see the findings above; a firewall between hosts, " +
			"a host name that resolves to a wrong address and a file system that hangs are the usual causes", nil})
	}
	return f.all
}

// doctorCommand is `rankpool doctor`.
type doctorCommand struct {
	JSON    bool          `name:"json" help:"Print one JSON object instead of text."`
	Mpiexec string        `name:"mpiexec" placeholder:"PATH" help:"The mpiexec to examine; default: the one on the path."`
	Limit   time.Duration `name:"limit" default:"55s" help:"When to give up whatever hangs; at most 55s."`
}

// Help is what --help says beyond the options.
func (doctorCommand) Help() string {
	return `It starts small MPI programs of its own and reports which MPI this is, whether launcher and library belong together, thread level, slots, binding, spawning, connecting, whether other ranks live on when one is lost, what SIGTERM does, round trip and bandwidth between two ranks, host names and the scheduler. Every finding that is not ok has a remedy. Under an mpiexec or srun it examines that job instead.

It needs a command that was built with MPI:

    eval "$(rankpool build --env)"
    go install -tags mpi github.com/rankpool/rankpool/cmd/rankpool@latest

Examples:

    rankpool doctor
    rankpool doctor --mpiexec /opt/openmpi/bin/mpiexec
    srun -N 2 -n 4 rankpool doctor
    rankpool doctor --json

Status: 1 when a finding says fail, otherwise 0. It takes 60 seconds at most, and leaves no process behind.`
}

// doctorLimit is what the examination may take at most; printing and killing come on top.
const doctorLimit = 55 * time.Second

// Run examines and prints.
func (c *doctorCommand) Run(s surroundings) error {
	begin := time.Now()
	stoppable, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(stoppable, min(c.Limit, doctorLimit))
	defer cancel()
	d := &doctor{surroundings: s, mpiexec: c.Mpiexec, findings: new(findings)}
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
	if err := stoppable.Err(); err != nil {
		return &silentError{report(s, context.Cause(stoppable))}
	}
	all := d.findings.close()
	if !speaks(s.launcher) {
		return nil
	}
	worst := printFindings(s.out, all, time.Since(begin), c.JSON)
	if worst == broken {
		return &silentError{exitFailure}
	}
	return nil
}

// printFindings prints a report and returns the worst verdict.
func printFindings(w io.Writer, all []finding, took time.Duration, asJSON bool) verdict {
	worst := fine
	for _, f := range all {
		if f.Status == broken || worst == fine {
			worst = f.Status
		}
	}
	if asJSON {
		host, _ := os.Hostname()
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(map[string]any{ // a reader that has gone away is nobody to tell
			"version": version(), "host": host, "seconds": took.Seconds(), "status": worst, "findings": all,
		})
		return worst
	}
	for _, f := range all {
		fmt.Fprintf(w, "%-4s  %-11s %s\n", f.Status, f.Subject, indent(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(w, "%18s-> %s\n", "", indent(f.Remedy))
		}
	}
	return worst
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", 18))
}

// doctor is one examination.
type doctor struct {
	surroundings
	mpiexec  string // as given
	findings *findings

	family mpi.Family // of the library in this command; OtherMPI when there is none or it is unknown
}

// examine looks at everything, until ctx ends.
func (d *doctor) examine(ctx context.Context) {
	if !speaks(d.launcher) {
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
	case d.launcher.Found() && mpi.Built:
		d.inJob(ctx)
	case d.launcher.Found():
		d.findings.add(finding{"launcher", fine, fmt.Sprintf("%s, %d processes", d.launcher.Name, d.launcher.Size), "", nil})
	default:
		d.fromOutside(ctx)
	}
	aside.Wait()
	d.findings.add(scheduler(os.LookupEnv), d.building(ctx))
}
