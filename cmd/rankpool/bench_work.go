package main

import (
	"context"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// workCommand is the program that rankpool bench starts, on every backend, to measure this library.
type workCommand struct {
	Backend string        `default:"auto"`
	Workers int           `default:"0"`
	Limit   time.Duration `default:"60s"`
	Profile string
	Specs   []string `arg:""`
}

// Run never returns: it is a program of the library, and in the workers it serves.
func (c *workCommand) Run() error {
	ours.Main(ours.Job{Backend: c.Backend, Workers: c.Workers, Specs: c.Specs, Limit: c.Limit, Profile: c.Profile})
	return nil
}

// aloneCommand is the peer of a pool whose tasks sleep.
type aloneCommand struct {
	Workers int           `required:""`
	Limit   time.Duration `default:"60s"`
	N       int           `arg:""`
}

// asleep is how long one of the sleeps takes.
const asleep = 10 * time.Millisecond

// Run starts the processes and prints the figure.
func (c *aloneCommand) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Limit)
	defer cancel()
	return ours.Alone(ctx, c.Workers, c.N, asleep, []string{"bench-sleeper"})
}

// sleeperCommand is one process of it.
type sleeperCommand struct {
	N    int           `arg:""`
	Each time.Duration `arg:""`
}

// Run sleeps.
func (c *sleeperCommand) Run() error { return ours.Sleeper(c.N, c.Each) }
