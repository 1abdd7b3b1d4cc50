//go:build unix

package proc

import (
	"runtime"
	"sync"
)

// forks starts all processes from one thread that lives while any group is open. On Linux the kernel kills a child when
// the thread that started it ends, and the threads of a Go program come and go.
var forks forker

type forker struct {
	mu     sync.Mutex
	users  int
	thread *thread
}

// thread is a goroutine with a thread of its own.
type thread struct {
	mu   sync.Mutex
	jobs []func()
	wake chan struct{} // one token when there are jobs; closed by the end
	done chan struct{}
}

// acquire starts the thread for the first user.
func (f *forker) acquire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users++; f.users == 1 {
		f.thread = &thread{wake: make(chan struct{}, 1), done: make(chan struct{})}
		go f.thread.run()
	}
}

// release ends the thread after its last user, whose processes must have ended, and waits for that.
func (f *forker) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users == 0 {
		close(f.thread.wake)
		<-f.thread.done
		f.thread = nil
	}
}

// do runs a job on the thread, after those before. It does not wait, and must be called by a user.
func (f *forker) do(job func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.thread
	t.mu.Lock()
	t.jobs = append(t.jobs, job)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *thread) run() {
	runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
	defer close(t.done)
	for range t.wake {
		for job := t.next(); job != nil; job = t.next() {
			job()
		}
	}
}

func (t *thread) next() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.jobs) == 0 {
		t.jobs = nil
		return nil
	}
	job := t.jobs[0]
	t.jobs = t.jobs[1:]
	return job
}
