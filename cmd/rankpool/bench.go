package main

import (
	"strings"

	"github.com/rankpool/rankpool/internal/bench"
	"github.com/rankpool/rankpool/internal/command"
)

// benchCommand is `rankpool bench`. It is bench.Options, field by field.
type benchCommand struct {
	JSON     bool     `name:"json" help:"Print one JSON object for each figure, a line each, instead of a table."`
	Quick    bool     `help:"Less work in each run: it ends within 50 s, and leaves out what there is no time for."`
	Runs     int      `default:"5" help:"How often each program is run; the median counts. At least 5."`
	Backends []string `name:"backend" placeholder:"LIST" help:"Only these: threads, processes, openmpi, openmpi-spawned, mpich, mpich-spawned. Default: all that are here."`
	Plot     string   `placeholder:"FILE" help:"Draw the curves over workers, chunk sizes and message sizes (.svg, .png or .pdf)."`
	Profile  string   `placeholder:"DIR" help:"Also take profiles of the processor's time, of our master and workers, into this folder, for go tool pprof."`
	Hosts    string   `placeholder:"LIST" help:"The hosts of the figure hosts, as mpiexec -H (Open MPI: a:1,b:1) or -hosts (MPICH: a,b) wants them."`
	Options  string   `name:"mpiexec-options" placeholder:"TEXT" help:"Further options for every mpiexec."`
	Dir      string   `placeholder:"DIR" env:"RANKPOOL_RUN_DIR" help:"Where programs are built: with --hosts, a folder that all of them share. Default: one for temporary files."`
	Module   string   `placeholder:"DIR" env:"RANKPOOL_RUN_MODULE" help:"The source of rankpool, if the command cannot tell where it is."`

	Figures []string `arg:"" optional:"" help:"What to measure; default: everything."`
}

// Help is what --help says beyond the options.
func (benchCommand) Help() string {
	var b strings.Builder
	b.WriteString(`It measures this library on every backend and MPI library that is here, and beside it, in turns, its peers: the same work in C and plain MPI, a ping over a socket pair, mpi4py.futures, multiprocessing.Pool, and the pools of other Go modules. Programs in C are compiled and those in Go built; what is not here is left out, with the reason. Every program has a limit of time.

Figures:

`)
	b.WriteString(bench.Figures())
	b.WriteString(`
Examples:

    rankpool bench --quick
    rankpool bench submit map latency
    rankpool bench --backend processes,openmpi --plot curves.svg
    rankpool bench hosts --hosts node1:1,node2:1 --dir /shared/bench
    mpiexec -n 4 rankpool bench hello

Status: 0 also when targets are missed; 1 when nothing could be measured.`)
	return b.String()
}

// Validate refuses what makes no sense.
func (c *benchCommand) Validate() error { return bench.Options(*c).Check() }

// Run measures and prints.
func (c *benchCommand) Run(s command.Surroundings) error { return bench.Options(*c).Run(s) }
