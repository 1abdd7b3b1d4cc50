//go:build unix

package proc

import (
	"runtime"
	"sync"
)

// thread is a goroutine with a thread of its own, which starts the processes of one group and lives as long as they do: on
// Linux the kernel kills a child when the thread that started it ends, and the threads of a Go program come and go.
type thread struct {
	mu    sync.Mutex
	jobs  []func()
	busy  bool // a job runs
	ended bool
	wake  chan struct{} // one token when there is something new
	done  chan struct{}
}

func newThread() *thread {
	t := &thread{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go t.run()
	return t
}

// do runs a job on the thread, after those before, and waits for it. It returns false if the thread has ended.
func (t *thread) do(job func()) bool {
	done := make(chan struct{})
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return false
	}
	t.jobs = append(t.jobs, func() {
		defer close(done)
		job()
	})
	t.mu.Unlock()
	t.notify()
	<-done
	return true
}

// end ends the thread after its jobs. It waits for that, unless a job hangs.
func (t *thread) end() {
	t.mu.Lock()
	t.ended = true
	hangs := t.busy
	t.mu.Unlock()
	t.notify()
	if !hangs {
		<-t.done
	}
}

func (t *thread) notify() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *thread) run() {
	runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
	defer close(t.done)
	for {
		job, ended := t.next()
		switch {
		case job != nil:
			job()
		case ended:
			return
		default:
			<-t.wake
		}
	}
}

// next returns the next job, or none, and whether none will come.
func (t *thread) next() (job func(), ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy = len(t.jobs) > 0; t.busy {
		job, t.jobs = t.jobs[0], t.jobs[1:]
	}
	return job, t.ended
}
