//go:build !unix

package main

import (
	"context"
	"time"
)

func reached(context.Context, time.Duration, ...string) error { return nil }

// reachCommand does nothing here.
type reachCommand struct {
	Paths []string `arg:""`
}

// Run does nothing.
func (c *reachCommand) Run() error { return nil }
