//go:build unix

package main

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// PROBE_LOST_EARLY has rank 1, or the first one that is spawned, end before Main.
func init() {
	acts["early"] = early
	if os.Getenv("PROBE_LOST_EARLY") == "" {
		return
	}
	rank, err := strconv.Atoi(os.Getenv("OMPI_COMM_WORLD_RANK") + os.Getenv("PMI_RANK"))
	if job, _ := strconv.Atoi(os.Getenv("PMIX_NAMESPACE")); job&0xffff > 1 { // spawned by the first of an mpiexec
		rank++
	}
	if err != nil || rank != 1 {
		return
	}
	if os.Getenv("PROBE_LOST_EARLY") == "exit" {
		os.Exit(3)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
}

// early waits for workers of which one never comes.
func early(ctx context.Context) error {
	ex := executor(futures.WithStartTimeout(15 * time.Second))
	defer ex.Close()
	_, err := submit(ex, add, 1).Result(ctx)
	return err
}
