package ours

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	profileOn  = futures.Register("bench.profileOn", beginProfile)
	profileOff = futures.Register("bench.profileOff", func(struct{}) (bool, error) { return true, endProfile() })
)

// profileFile is where the profile of this process goes; nil while there is none.
var (
	profileMu   sync.Mutex
	profileFile *os.File
)

// profiling tells a process where its profile goes.
type profiling struct {
	Prefix string
	Pids   []int // of the workers in their order
}

func beginProfile(p profiling) (bool, error) {
	return true, startProfile(fmt.Sprintf("%s-worker%d.pprof", p.Prefix, slices.Index(p.Pids, os.Getpid())))
}

func startProfile(path string) error {
	profileMu.Lock()
	defer profileMu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return err
	}
	profileFile = f
	return nil
}

func endProfile() error {
	profileMu.Lock()
	defer profileMu.Unlock()
	pprof.StopCPUProfile()
	f := profileFile
	if profileFile = nil; f == nil {
		return nil
	}
	return f.Close()
}

// profileFor is how long a figure is measured for its profile: a hundred samples a second say little in less.
const profileFor = 2 * time.Second

// profiled measures a figure, again and again, while the processor's time is sampled in the master and in every worker, each
// into a file of its own in the folder. The values are those of the last time. Goroutines that work are the master's process.
func (b *bench) profiled(ctx context.Context, folder string, measure func(context.Context, *bench) error) (err error) {
	prefix := filepath.Join(folder, b.job.Backend+"-"+b.label)
	if b.ex != nil && b.ex.Backend() != "threads" {
		who, err := onEach(ctx, b.ex, whoami, struct{}{})
		if err != nil {
			return err
		}
		p := profiling{Prefix: prefix}
		for _, w := range who {
			p.Pids = append(p.Pids, w.Pid)
		}
		if _, err := onEach(ctx, b.ex, profileOn, p); err != nil {
			return err
		}
		defer func() {
			if _, offErr := onEach(ctx, b.ex, profileOff, struct{}{}); err == nil {
				err = offErr
			}
		}()
	}
	if err := startProfile(prefix + "-master.pprof"); err != nil {
		return err
	}
	defer func() {
		if endErr := endProfile(); err == nil {
			err = endErr
		}
	}()
	for begin := time.Now(); time.Since(begin) < profileFor; {
		if err := measure(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// onEach calls a function on every worker and returns the results in their order.
func onEach[A, R any](ctx context.Context, ex futures.Executor, fn futures.Func[A, R], arg A) ([]R, error) {
	f, err := futures.SubmitEach(ex, fn, arg)
	if err != nil {
		return nil, err
	}
	return f.Result(ctx)
}
