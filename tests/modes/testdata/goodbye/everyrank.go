//go:build everyrank

package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/spmd"
)

func init() {
	forms["spmd.Main"] = func() {
		spmd.Main(func(ctx context.Context) error { return futures.MPICommExecutor(ctx, nil, 0, onEach) })
	}
}
