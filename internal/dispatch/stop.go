package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/link"
)

// RunningTask is a task that runs. Package futures declares it for users, with the same fields.
type RunningTask struct {
	Func   string
	Worker int
	Host   string
	Pid    int
	Thread bool
	Since  time.Time
}

// Shutdown forbids further jobs. What is queued still runs, or with cancel is dropped. With wait it blocks until the
// workers have left or ctx ends; then it returns ctx's error and the tasks that still run. A ctx that has ended before is no
// error when nothing is left to run: the workers leave. It may be called again.
func (m *Master) Shutdown(ctx context.Context, wait, cancel bool) ([]RunningTask, error) {
	n := newsPool.Get().(*news)
	m.mu.Lock()
	m.forbid()
	if cancel {
		m.drop(n, ErrDropped)
	}
	m.settleState()
	nothing := m.leaving
	m.unlockAndDeliver(n)
	if !wait || nothing && ctx.Err() != nil {
		return nil, nil
	}
	select {
	case <-m.closed:
		return nil, nil
	default:
	}
	select {
	case <-m.closed:
		return nil, nil
	case <-ctx.Done():
		return m.Running(), context.Cause(ctx)
	}
}

// forbid takes no more jobs.
func (m *Master) forbid() {
	switch m.state {
	case Fresh:
		m.state = Closed
		m.bootDone()
		m.leaving = true
		close(m.closed)
	case Starting, Serving:
		m.state = Stopping
	}
}

// drop drops what is queued, and what will come back. The first reason holds.
func (m *Master) drop(n *news, why error) {
	if m.dropping == nil {
		m.dropping = why
	}
	m.dropQueue(n, m.dropping)
}

// Drain forbids further jobs and drops what is queued, whose sinks are given the reason. It does not block: what runs goes
// on.
func (m *Master) Drain(why error) {
	n := newsPool.Get().(*news)
	m.mu.Lock()
	m.forbid()
	m.drop(n, why)
	m.settleState()
	m.unlockAndDeliver(n)
}

// Closed is closed when every worker has left after a shutdown, or after the pool broke.
func (m *Master) Closed() <-chan struct{} { return m.closed }

// Running lists the tasks that run now; of a batch, the first.
func (m *Master) Running() []RunningTask {
	m.mu.Lock()
	defer m.unlock()
	var all []RunningTask
	for _, w := range m.workers {
		if p := w.next(); p != nil && w.state == busy {
			all = append(all, RunningTask{m.cfg.Name(p.job.Func), w.slot, w.hello.Host, w.hello.Pid, w.thread, m.begun.Add(w.since)})
		}
	}
	return all
}

// settleState notices that a shutdown has nothing left to wait for.
func (m *Master) settleState() {
	if m.state != Stopping || m.flying > m.gone {
		return
	}
	if !m.pending() {
		m.leave()
	}
}

// leave sends the workers away. The state is Stopping or Broken.
func (m *Master) leave() {
	if m.leaving {
		return
	}
	m.leaving = true
	m.grantSlots()
	m.bootDone()
	for _, w := range m.workers {
		switch w.state {
		case idle, busy:
			m.dismiss(w)
		case starting, pausing:
			w.stopTimer()
		}
	}
	m.watch.stop()
	m.holding.stop()
	go m.close()
}

func (m *Master) close() {
	ctx, cancel := awake.WithTimeout(context.Background(), m.leaveLimit())
	defer cancel()
	m.Flush() // what was decided before comes first
	err := m.group.Close(ctx)
	if err != nil {
		m.cfg.Log.Error("rankpool: workers did not leave", "err", err)
	}
	m.mu.Lock()
	for m.delivering > 0 { // what was dropped may be a million sinks, of which some have not heard of it
		told := make(chan struct{})
		m.delivered = told
		m.unlock()
		<-told
		m.mu.Lock()
	}
	if m.state == Stopping {
		m.state = Closed
	}
	m.endStorms(true)
	m.unlock()
	close(m.closed)
}

// noteEnd remembers how a worker has ended that was told to, unless it did so with success or was killed, which says nothing
// about the program.
func (m *Master) noteEnd(w *worker, err error) {
	exit := (*link.ExitError)(nil)
	if errors.As(err, &exit) && exit.Cause == nil && exit.Signal != "killed" {
		m.badEnds.add(fmt.Errorf("worker %d did its work and then ended badly: %w", w.slot, err))
	}
}

// Ended returns what went wrong when workers left that were told to, and what they have ended with if that was not success.
func (m *Master) Ended() error {
	m.mu.Lock()
	defer m.unlock()
	return errors.Join(slices.Concat(m.failures.errors(), m.badEnds.errors())...)
}

// Failures returns the former alone.
func (m *Master) Failures() error {
	m.mu.Lock()
	defer m.unlock()
	return errors.Join(m.failures.errors()...)
}

// BadEnds returns the latter alone: something is wrong with the program then, whether it looks at errors or not.
func (m *Master) BadEnds() error {
	m.mu.Lock()
	defer m.unlock()
	return errors.Join(m.badEnds.errors()...)
}

// OnClosed has f called on a goroutine of its own once Closed is.
func (m *Master) OnClosed(f func()) {
	go func() {
		<-m.closed
		f()
	}()
}
