package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rankpool/rankpool/bench/peers"
	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/saturate"
)

// entrant is a program that is measured: rankpool on some backend, or a peer.
type entrant struct {
	name    string // of a peer
	backend string // of ours
	workers int
	at      place // where its ranks are; empty: it has none
	missing error // why it cannot take part

	prepare []*chore                      // what must have been done before it is started
	command func(specs []string) []string // the program and its arguments
	env     []string                      // variables that it has beside those of all
	samples map[string][]float64          // what it has printed in the sittings of this group, by key
	late    bool                          // it has not had all of them
}

// chore is something that is done once, such as to build a program.
type chore struct {
	once sync.Once
	do   func(ctx context.Context) error
	err  error
}

func (c *chore) done(ctx context.Context) error {
	c.once.Do(func() { c.err = c.do(ctx) })
	return c.err
}

// ready does what is to be done before the entrant can be started, and finds out whether it can be.
func (e *entrant) ready(ctx context.Context) {
	for _, c := range e.prepare {
		if e.missing == nil {
			e.missing = c.done(ctx)
		}
	}
}

// implementation is an MPI library of this machine, or the one that would be.
type implementation struct {
	name    string // "openmpi", "mpich"
	family  mpi.Family
	look    chore // finds mpiexec
	mpiexec string
	raw     chore // compiles raw_mpi with it
}

// field is where entrants come from: what there is on this machine.
type field struct {
	scratch string   // where programs are built
	module  string   // the folder of the library's source, if the user says
	options []string // further options of mpiexec
	hosts   string   // as the launcher wants them
	profile string   // a folder for profiles of ours, or empty
	log     func(format string, args ...any)

	mu       sync.Mutex
	entrants map[string]*entrant
	mpis     []*implementation
	program  chore // builds this command with MPI
	ping     chore
	pools    chore
	watcher  chore // builds bench/watched
	python   chore
	mpi4py   struct {
		interpreter string
		vendor      mpi.Family
		look        chore
	}
	interpreter string // of Python
}

func newField(scratch, module string, log func(string, ...any)) *field {
	f := &field{scratch: scratch, module: module, log: log, entrants: map[string]*entrant{}}
	for _, i := range []*implementation{{name: "openmpi", family: mpi.OpenMPI}, {name: "mpich", family: mpi.MPICH}} {
		i.look.do = func(ctx context.Context) error { return f.lookFor(ctx, i) }
		i.raw.do = func(ctx context.Context) error { return f.compileRaw(ctx, i) }
		f.mpis = append(f.mpis, i)
	}
	f.program.do = f.buildOurs
	f.ping.do = func(ctx context.Context) error { return f.compileC(ctx, f.path("ping"), peers.Ping, nil, nil) }
	f.pools.do = func(ctx context.Context) error { return f.buildExtra(ctx, "pools") }
	f.watcher.do = f.buildWatched
	f.python.do = f.lookForPython
	f.mpi4py.look.do = f.lookForMPI4Py
	return f
}

func (f *field) path(name string) string { return filepath.Join(f.scratch, name+gobuild.Suffix()) }

// once returns the entrant with a key, made by make if nobody has asked for it before.
func (f *field) once(key string, make func() *entrant) *entrant {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.entrants[key]
	if !ok {
		e = make()
		f.entrants[key] = e
	}
	return e
}

// childLimit is what one start of a program may take: programs end by themselves then, and a little later they are killed.
const childLimit = 90 * time.Second

// limitOf is that of a start that measures these: what lasts as long as its setting says has that on top.
func limitOf(specs []string) time.Duration {
	limit := childLimit
	for _, spec := range specs {
		if _, text, ok := strings.Cut(spec, ",seconds="); ok {
			n, _ := strconv.Atoi(text)
			limit = saturate.Add(limit, saturate.Mul(time.Second, max(n, 0)))
		}
	}
	return limit
}

// ourArguments are the arguments of this command that make it measure. More options may follow.
func (f *field) ourArguments(backend string, workers int, specs []string, more ...string) []string {
	args := []string{"bench-work", "--backend", backend, "--workers", strconv.Itoa(workers), "--limit", limitOf(specs).String()}
	if f.profile != "" {
		args = append(args, "--profile", f.profile)
	}
	return slices.Concat(args, more, []string{"--"}, specs)
}

// local is ours on threads or local processes: this very program.
func (f *field) local(backend string, workers int) *entrant {
	return f.once(fmt.Sprint(backend, workers), func() *entrant {
		e := &entrant{backend: backend, workers: workers}
		self, err := os.Executable()
		e.missing = err
		e.command = func(specs []string) []string {
			return append([]string{self}, f.ourArguments(backend, workers, specs)...)
		}
		return e
	})
}

// slots is ours on one local process that runs so many tasks at the same time.
func (f *field) slots(n int) *entrant {
	return f.once(fmt.Sprint("slots", n), func() *entrant {
		self, err := os.Executable()
		return &entrant{backend: fmt.Sprintf("%d slots", n), workers: n, missing: err, command: func(specs []string) []string {
			return append([]string{self}, f.ourArguments("processes", n, specs, "--slots", strconv.Itoa(n))...)
		}}
	})
}

// place is which hosts an mpiexec starts its ranks on.
type place string

// The places.
const (
	here   place = "world"
	abroad place = "hosts" // those of the option --hosts
)

// world is ours on the ranks of an mpiexec.
func (f *field) world(i *implementation, at place, workers int) *entrant {
	return f.once(fmt.Sprint(at, i.name, workers), func() *entrant {
		return &entrant{
			backend: i.name + " " + string(at), workers: workers, at: at, prepare: []*chore{&i.look, &f.program},
			command: func(specs []string) []string {
				return f.launch(i, at, workers+1, append([]string{f.path(withMPI)}, f.ourArguments("mpi", workers, specs)...)...)
			},
		}
	})
}

// spawned is ours on processes that MPI spawns.
func (f *field) spawned(i *implementation, workers int) *entrant {
	return f.once(fmt.Sprint("spawned", i.name, workers), func() *entrant {
		return &entrant{
			backend: i.name + " spawned", workers: workers, prepare: []*chore{&i.look, &f.program},
			command: func(specs []string) []string {
				return f.launch(i, here, 1, append([]string{f.path(withMPI)}, f.ourArguments("mpi", workers, specs)...)...)
			},
		}
	})
}

// raw is a master and workers in C.
func (f *field) raw(i *implementation, at place, workers int) *entrant {
	return f.once(fmt.Sprint("raw", at, i.name, workers), func() *entrant {
		return &entrant{
			name: "raw_mpi, " + i.name, workers: workers, prepare: []*chore{&i.look, &i.raw},
			command: func(specs []string) []string {
				return f.launch(i, at, workers+1, append([]string{f.path("raw-" + i.name)}, specs...)...)
			},
		}
	})
}

// launch is an mpiexec of n ranks that are not bound to cores, for two that share one measure nothing.
func (f *field) launch(i *implementation, at place, n int, command ...string) []string {
	args := []string{i.mpiexec}
	if i.family == mpi.OpenMPI {
		args = append(args, "--oversubscribe", "--bind-to", "none")
	}
	args = append(args, f.options...)
	if at == abroad {
		args = append(args, hostsOption(i.family), f.hosts)
	}
	return append(append(args, "-n", strconv.Itoa(n)), command...)
}

func hostsOption(family mpi.Family) string {
	if family == mpi.OpenMPI {
		return "-H"
	}
	return "-hosts"
}

// socketPair is two processes in C.
func (f *field) socketPair() *entrant {
	return f.once("ping", func() *entrant {
		return &entrant{
			name: "ping over a socket pair, C", prepare: []*chore{&f.ping},
			command: func(specs []string) []string { return append([]string{f.path("ping")}, specs...) },
		}
	})
}

// goPool is one of the pools of others in one process.
func (f *field) goPool(name string) *entrant {
	return f.once("pool"+name, func() *entrant {
		return &entrant{
			name: name, prepare: []*chore{&f.pools},
			command: func(specs []string) []string { return append([]string{f.path("pools")}, specs...) },
		}
	})
}

// sleepers are processes of this command that sleep without a pool.
func (f *field) sleepers(workers int) *entrant {
	return f.once(fmt.Sprint("sleepers", workers), func() *entrant {
		e := &entrant{name: fmt.Sprintf("%d processes, no pool", workers), workers: workers}
		self, err := os.Executable()
		e.missing = err
		e.command = func(specs []string) []string {
			return append([]string{self, "bench-alone", "--workers", strconv.Itoa(workers), "--limit", childLimit.String()}, specs...)
		}
		return e
	})
}

// multiprocessing is Python's own pool.
func (f *field) multiprocessing() *entrant {
	return f.once("multiprocessing", func() *entrant {
		return &entrant{
			name: "multiprocessing.Pool", workers: 1, prepare: []*chore{&f.python},
			command: func(specs []string) []string {
				return append([]string{f.interpreter, filepath.Join(f.scratch, "multiprocessing_pool.py")}, specs...)
			},
		}
	})
}

// original is mpi4py.futures, under the MPI that it was built for.
func (f *field) original() *entrant {
	return f.once("mpi4py", func() *entrant {
		return &entrant{
			name: "mpi4py.futures", workers: 1, prepare: []*chore{&f.mpi4py.look},
			command: func(specs []string) []string {
				for _, i := range f.mpis {
					if i.family == f.mpi4py.vendor {
						script := filepath.Join(f.scratch, "mpi4py_futures.py")
						return f.launch(i, here, 2, append([]string{f.mpi4py.interpreter, "-m", "mpi4py.futures", script}, specs...)...)
					}
				}
				return nil
			},
		}
	})
}
