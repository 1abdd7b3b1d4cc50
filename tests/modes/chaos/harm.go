//go:build unix

package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// harm is done to workers while the ledger is kept.
type harm struct {
	killed int
	over   chan struct{}
	all    sync.WaitGroup
}

// newHarm kills so many workers, and stops as many for a while, spread over the work. Where they are replaced it kills all of
// them at once in the middle.
func newHarm(ex futures.Executor, l *ledger, kills int, replaced bool) *harm {
	h := &harm{over: make(chan struct{})}
	h.all.Go(func() {
		r, dead := rand.New(rand.NewPCG(*seed, 1)), map[int]bool{}
		h.spread(l, kills, func(i int) {
			some := slices.DeleteFunc(victims(ex), func(pid int) bool { return dead[pid] })
			if len(some) == 0 {
				return
			}
			if !replaced || i != kills/2 {
				k := r.IntN(len(some))
				some = some[k : k+1]
			}
			for _, pid := range some {
				dead[pid] = true
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					h.killed++
				}
			}
		})
	})
	h.all.Go(func() {
		r := rand.New(rand.NewPCG(*seed, 2))
		h.spread(l, kills, func(int) {
			some := victims(ex)
			if len(some) == 0 {
				return
			}
			pid := some[r.IntN(len(some))]
			if syscall.Kill(pid, syscall.SIGSTOP) != nil {
				return
			}
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond) // it is stopped meanwhile
			_ = syscall.Kill(pid, syscall.SIGCONT)
		})
	})
	return h
}

// spread does something so many times, each when another part of the ledger is done.
func (h *harm) spread(l *ledger, n int, do func(i int)) {
	first := l.ended.Load()
	for i := range n {
		for due := first + (int64(len(l.fates))-first)*int64(i+1)/int64(n+1); l.ended.Load() < due; {
			select {
			case <-h.over:
				return
			case <-time.After(time.Millisecond):
			}
		}
		do(i)
	}
}

func (h *harm) stop() {
	close(h.over)
	h.all.Wait()
}

// victims are the processes of the workers.
func victims(ex futures.Executor) (pids []int) {
	for _, w := range ex.Stats().Workers {
		if w.Pid != 0 {
			pids = append(pids, w.Pid)
		}
	}
	return pids
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
