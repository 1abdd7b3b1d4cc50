//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

func init() { acts["walltimes"] = walltimes }

// perWalltime is how many elements end in each walltime, and wholeJob how many there are.
const perWalltime, wholeJob = 40, 3 * 40

// element is one of a job that needs three walltimes.
type element struct {
	Dir   string
	Index int
}

// inWalltime ends if the job has been put back into its queue often enough. What is further behind takes longer than what is left of the time.
var inWalltime = futures.RegisterContext("inWalltime", func(ctx context.Context, e element) (int, error) {
	restarts, _ := strconv.Atoi(os.Getenv("SLURM_RESTART_COUNT"))
	if e.Index >= perWalltime*(restarts+1) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return e.Index * e.Index, note(e.Dir, "ran", e.Index)
}, futures.WithVersion("1"))

// note adds a line to a file that all runs of the job have in common.
func note(dir, what string, n int) error {
	f, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, what, n)
	return errors.Join(err, f.Close())
}

// walltimes is a job that has a journal, and notes what runs, what comes, and how many claims it finds at its start.
func walltimes(ctx context.Context) error {
	path := filepath.Join(*dir, "journal")
	claims, err := filepath.Glob(path + ".claim-*")
	if err != nil {
		return err
	}
	if err := note(*dir, "claims", len(claims)); err != nil {
		return err
	}
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	elements := make([]element, wholeJob)
	for i := range elements {
		elements[i] = element{*dir, i}
	}
	err = futures.With(ctx, func(ex futures.Executor) error {
		i := 0
		for v, err := range futures.Map(ctx, ex, inWalltime, elements, futures.WithJournal(j)) {
			if err != nil {
				return err
			}
			if v != i*i {
				return fmt.Errorf("element %d is %d", i, v)
			}
			if err := note(*dir, "came", i); err != nil {
				return err
			}
			i++
		}
		return note(*dir, "over", int(ex.Stats().Recalled))
	})
	return err // Main closes the journal
}
