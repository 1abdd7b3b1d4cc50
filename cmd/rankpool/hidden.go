package main

import (
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/bench"
	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/doctor"
	"github.com/rankpool/rankpool/internal/launch"
)

// The commands that this one starts itself have their words here.

// tidyCommand removes the folder of a job that is over.
type tidyCommand struct {
	Name string `arg:""`
}

// Run blocks until the folder is free.
func (c *tidyCommand) Run() error { return launch.Tidy(c.Name) }

// reachCommand looks at paths that may hang.
type reachCommand struct {
	Paths []string `arg:""`
}

// Run blocks for as long as they do.
func (c *reachCommand) Run() error { return launch.Reach(c.Paths) }

// probeCommand is the MPI program of the doctor.
type probeCommand struct {
	What  string        `arg:"" enum:"look,all,spawn,child,lose,accept,connect"`
	Port  string        `help:"Where to connect."`
	Limit time.Duration `default:"30s"`
}

// Run blocks until the program is done, and for the limit at most.
func (c *probeCommand) Run() error { return doctor.Probe(c.What, c.Port, c.Limit) }

// workCommand is the program that rankpool bench starts, on every backend, to measure this library.
type workCommand struct {
	Backend string        `default:"auto"`
	Workers int           `default:"0"`
	Slots   int           `default:"1"`
	Limit   time.Duration `default:"60s"`
	Profile string
	Specs   []string `arg:""`
}

// Run never returns: it is a program of the library, and in the workers it serves.
func (c *workCommand) Run() error {
	ours.Main(ours.Job{Backend: c.Backend, Workers: c.Workers, Slots: c.Slots, Specs: c.Specs, Limit: c.Limit, Profile: c.Profile})
	return nil
}

// aloneCommand is the peer of a pool whose tasks sleep.
type aloneCommand struct {
	Workers int           `required:""`
	Limit   time.Duration `default:"60s"`
	N       int           `arg:""`
}

// Run starts the processes and prints the figure.
func (c *aloneCommand) Run() error { return bench.Alone(c.Workers, c.N, c.Limit) }

// scaleCommand is a master over simulated workers.
type scaleCommand struct {
	Limit   time.Duration `default:"60s"`
	Profile string
	Specs   []string `arg:""`
}

// Run measures and prints the figures.
func (c *scaleCommand) Run(s command.Surroundings) error {
	return bench.Scale(s.Out, c.Specs, c.Limit, c.Profile)
}

// sleeperCommand is one process of it.
type sleeperCommand struct {
	N    int           `arg:""`
	Each time.Duration `arg:""`
}

// Run sleeps.
func (c *sleeperCommand) Run() error { return ours.Sleeper(c.N, c.Each) }
