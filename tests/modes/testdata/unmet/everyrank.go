//go:build everyrank

package main

import (
	"context"

	"github.com/rankpool/rankpool/spmd"
)

func init() {
	runs = func(fn func(context.Context) error) { spmd.Main(fn) }
}
