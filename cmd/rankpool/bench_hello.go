package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/mpi"
)

// helloLimit is what greeting may take, a spawn included.
const helloLimit = time.Minute

// helloInJob greets from every worker of the job that this process is a rank of. It does not return when that works.
func (c benchOptions) helloInJob(s surroundings) error {
	if mpi.Built {
		ours.Main(ours.Job{Backend: "auto", Specs: []string{"hello"}, Limit: helloLimit})
		return nil
	}
	name := module + "/cmd/rankpool"
	words := []string{"bench-work", "--limit", helloLimit.String(), "--", "hello"}
	return startOptions{Package: &name, Words: words, MPI: automatic, Module: c.Module, Dir: c.Dir, Wait: 5 * time.Minute}.run(s, false)
}

// greet prints rank, size and host of every worker of an entrant.
func greet(ctx context.Context, s surroundings, e *entrant, asJSON bool, machine string) (ok bool) {
	if e.ready(ctx); e.missing == nil {
		var out string
		if out, e.missing = e.hello(ctx); e.missing == nil && !asJSON {
			fmt.Fprintf(s.out, "%s\n%s", e.backend, out)
			return true
		}
		if n := strings.Count(out, "hello from"); e.missing == nil {
			p := printer{w: s.out, asJSON: true}
			v := ptr(float64(n))
			p.print(record{Name: "hello", Backend: e.backend, Workers: n, Value: v, Unit: "workers", Runs: 1, Min: v, Max: v, Machine: machine})
			return true
		}
	}
	if asJSON {
		p := printer{w: s.out, asJSON: true}
		p.print(record{Name: "hello", Backend: e.backend, Unit: "workers", LeftOut: e.missing.Error(), Machine: machine})
	} else {
		fmt.Fprintf(s.out, "%s\n  left out: %s\n", e.backend, indent(e.missing.Error()))
	}
	return false
}

// hello starts an entrant and returns what its workers say, a line for each.
func (e *entrant) hello(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	argv := e.command([]string{"hello"})
	out, err := runMarked(ctx, append(asRoot(nil), "RANKPOOL_BACKEND=mpi"), argv[0], argv[1:], nil)
	if err != nil {
		return "", fmt.Errorf("it failed: %s", lastWords(out, err))
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if _, text, ok := strings.Cut(line, "hello from"); ok {
			b.WriteString("  hello from" + text)
		}
	}
	return b.String(), nil
}
