//go:build mpi && linux && (amd64 || arm64)

// Command unmet is a program of ranks whose rank 1 ends between MPI_Init and what all ranks do together next.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/mpi"
)

// runs is how the program runs its function.
var runs = func(fn func(context.Context) error) { futures.Main(fn) }

func main() {
	how, dir := os.Args[1], os.Args[2]
	job.MeetLimit = 3 * time.Second
	launcher := mpi.FindLauncher(os.LookupEnv)
	if launcher.Rank == 1 {
		endEarly(how, dir, launcher.Size)
	}
	go func() { // tells rank 1 that this one has come through MPI_Init
		for !mpi.Started() {
			time.Sleep(time.Millisecond)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(launcher.Rank)), nil, 0o600); err != nil {
			panic(err)
		}
	}()
	runs(func(context.Context) error { return nil })
}

// endEarly starts MPI, and ends when all other ranks have done so.
func endEarly(how, dir string, ranks int) {
	if _, err := mpi.Init(mpi.Options{}); err != nil {
		panic(err)
	}
	for rank := range ranks {
		for rank != 1 {
			if _, err := os.Stat(filepath.Join(dir, fmt.Sprint(rank))); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if how == "exit" {
		os.Exit(3)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
