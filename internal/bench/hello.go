package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/launch"
	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
)

// helloLimit is what greeting may take, a spawn included.
const helloLimit = time.Minute

// helloInJob greets from every worker of the job that this process is a rank of. It does not return when that works.
func (c Options) helloInJob(s command.Surroundings) error {
	if mpi.Built {
		ours.Main(ours.Job{Backend: "auto", Specs: []string{"hello"}, Limit: helloLimit})
		return nil
	}
	name := gobuild.Module + "/cmd/rankpool"
	words := []string{"bench-work", "--limit", helloLimit.String(), "--", "hello"}
	return launch.Options{Package: &name, Words: words, MPI: findmpi.Automatic, Module: c.Module, Dir: c.Dir, Wait: 5 * time.Minute}.Run(s, false)
}

// greet prints rank, size and host of every worker of an entrant.
func greet(ctx context.Context, s command.Surroundings, e *entrant, asJSON bool, machine string) (ok bool) {
	if e.ready(ctx); e.missing == nil {
		var out string
		if out, e.missing = e.hello(ctx); e.missing == nil && !asJSON {
			fmt.Fprintf(s.Out, "%s\n%s", e.backend, out)
			return true
		}
		if n := strings.Count(out, "hello from worker"); e.missing == nil {
			p := printer{w: s.Out, asJSON: true}
			v := ptr(float64(n))
			p.print(record{Name: "hello", Backend: e.backend, Workers: n, Value: v, Unit: "workers", Runs: 1, Min: v, Max: v, Machine: machine})
			return true
		}
	}
	if asJSON {
		p := printer{w: s.Out, asJSON: true}
		p.print(record{Name: "hello", Backend: e.backend, Unit: "workers", LeftOut: e.missing.Error(), Machine: machine})
	} else {
		fmt.Fprintf(s.Out, "%s\n  left out: %s\n", e.backend, command.Indent(e.missing.Error()))
	}
	return false
}

// hello starts an entrant and returns what its workers say, a line for each.
func (e *entrant) hello(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	argv := e.command([]string{"hello"})
	out, err := marked.Run(ctx, append(findmpi.AsRoot(nil), "RANKPOOL_BACKEND=mpi"), argv[0], argv[1:], nil)
	if err != nil {
		return "", fmt.Errorf("it failed: %s", marked.LastWords(out, err))
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if _, text, ok := strings.Cut(line, "hello from"); ok {
			b.WriteString("  hello from" + text)
		}
	}
	return b.String(), nil
}
