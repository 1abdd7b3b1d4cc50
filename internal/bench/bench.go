// Package bench measures this library on every backend that is here, and beside it, in turns, its peers.
package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/owndir"
)

// Options say what is measured and how.
type Options struct {
	JSON     bool     // one object for each figure, instead of a table
	Quick    bool     // less work in each run
	Runs     int      // of each program
	Backends []string // only these; none: all that are here
	Plot     string   // the file of a drawing, if there is to be one
	Profile  string   // the folder of profiles, if there are to be any
	Hosts    string   // of the figure hosts, as the launcher wants them
	Options  string   // further ones of every mpiexec
	Dir      string   // where programs are built, if the user says
	Module   string   // the folder of the library's source, if the user says

	Figures []string // what to measure; none: everything
}

// quickLimit is what --quick may take; ending the programs comes on top.
const quickLimit = 46 * time.Second

// backendNames are what --backend knows.
var backendNames = []string{"threads", "processes", "openmpi", "openmpi-spawned", "mpich", "mpich-spawned"}

// Check refuses what makes no sense.
func (c Options) Check() error {
	for _, name := range c.Figures {
		if _, ok := aboutFigures[name]; !ok {
			return fmt.Errorf("there is no figure %q: there are hello, %s", name, strings.Join(figureNames, ", "))
		}
	}
	for _, name := range c.Backends {
		if !slices.Contains(backendNames, name) {
			return fmt.Errorf("there is no backend %q: there are %s", name, strings.Join(backendNames, ", "))
		}
	}
	if c.Runs < 5 {
		return fmt.Errorf("--runs=%d: a median needs 5 runs at least", c.Runs)
	}
	if slices.Contains(c.Figures, "hello") && len(c.Figures) > 1 {
		return fmt.Errorf("hello measures nothing: name it alone")
	}
	return nil
}

// wanted tells whether a backend is to be measured.
func (c Options) wanted(backend string) bool {
	return len(c.Backends) == 0 || slices.Contains(c.Backends, backend)
}

// Run measures and prints. It blocks until that is done; a signal ends it. The error is that nothing could be measured, among others.
func (c Options) Run(s command.Surroundings) (err error) {
	hello := slices.Contains(c.Figures, "hello")
	if s.Launcher.Found() {
		if hello {
			return c.helloInJob(s)
		}
		return command.Usagef("bench starts its own jobs: run it without %s (only `bench hello` greets from a job)", s.Launcher.Name)
	}
	begin := time.Now()
	ctx, stop := command.UntilSignal()
	defer stop(&err)
	dir, remove, err := owndir.Scratch(c.Dir, "rankpool-bench-")
	if err != nil {
		return err
	}
	defer remove()
	r := &runner{runs: c.Runs, log: progress(s)}
	measuring := ctx
	if c.Quick {
		r.budget = begin.Add(quickLimit)
		limited, cancel := context.WithDeadline(ctx, r.budget)
		defer cancel()
		measuring = limited
	}
	f := newField(dir.Name(), c.Module, r.log)
	f.options, f.hosts = strings.Fields(c.Options), c.Hosts
	if c.Profile != "" {
		if f.profile, err = filepath.Abs(c.Profile); err == nil {
			err = os.MkdirAll(f.profile, 0o755)
		}
		if err != nil {
			return fmt.Errorf("no folder for profiles: %w", err)
		}
	}
	f.survey(measuring)
	if hello {
		return c.hello(ctx, s, f)
	}
	p := &plan{f: f, quick: c.Quick, wanted: c.wanted}
	for _, name := range c.chosen() {
		p.add(name)
	}
	if c.Quick {
		p.mostWantedFirst()
	}
	prepare(measuring, p.groups)
	out := &printer{w: s.Out, asJSON: c.JSON, machine: thisMachine()}
	for _, g := range p.groups {
		r.measure(measuring, g)
		for _, row := range g.rows { // what was measured before a signal counts
			out.print(row.settle(out.machine))
		}
		if ctx.Err() != nil {
			break
		}
	}
	r.log("")
	out.close()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.Plot != "" {
		if err := f.plot(ctx, c.Plot, p.groups); err != nil {
			return fmt.Errorf("cannot draw %s: %w", c.Plot, err)
		}
	}
	if !slices.ContainsFunc(out.all, func(r record) bool { return r.Value != nil }) {
		return &command.SilentError{Status: command.Failure}
	}
	return nil
}

// whenNamed are the figures that take long: they are measured when they are named, the curves also when they are needed.
var whenNamed = []string{"curves", "grain", "goroutines", "observing", "scale", "soak"}

// chosen are the figures to measure.
func (c Options) chosen() []string {
	if len(c.Figures) == 0 {
		return slices.DeleteFunc(slices.Clone(figureNames), func(n string) bool {
			return slices.Contains(whenNamed, n) && (n != "curves" || c.Plot == "")
		})
	}
	if c.Plot != "" && !slices.Contains(c.Figures, "curves") {
		return append(slices.Clone(c.Figures), "curves")
	}
	return c.Figures
}

// hello greets from every backend that is here.
func (c Options) hello(ctx context.Context, s command.Surroundings, f *field) error {
	const workers = 2
	var all []*entrant
	for _, backend := range []string{"threads", "processes"} {
		if c.wanted(backend) {
			all = append(all, f.local(backend, workers))
		}
	}
	at := here
	if f.hosts != "" {
		at = abroad
	}
	for _, i := range f.mpis {
		if c.wanted(i.name) {
			all = append(all, f.world(i, at, workers))
		}
		if c.wanted(i.name + "-spawned") {
			all = append(all, f.spawned(i, 1))
		}
	}
	ok := false
	for _, e := range all {
		ok = greet(ctx, s, e, c.JSON, thisMachine()) || ok
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if !ok {
		return &command.SilentError{Status: command.Failure}
	}
	return nil
}

// survey finds out which MPI libraries are here, and whether Python has mpi4py. It blocks while their programs answer.
func (f *field) survey(ctx context.Context) {
	var all sync.WaitGroup
	for _, i := range f.mpis {
		all.Go(func() { _ = i.look.done(ctx) }) // the entrants that need it tell
	}
	all.Go(func() { _ = f.mpi4py.look.done(ctx) })
	all.Wait()
}
