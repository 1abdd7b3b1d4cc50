package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/trace"
)

// Boot starts the workers if nothing did before. It does not block. After a shutdown it returns ErrStopping, on a
// broken master the *BrokenError.
func (m *Master) Boot() error {
	m.mu.Lock()
	defer m.unlock()
	if err := m.refusal(); err != nil {
		return err
	}
	m.bootLocked()
	return nil
}

// Booted is closed once all workers are ready, or the start has failed, or was given up by a shutdown.
func (m *Master) Booted() <-chan struct{} { return m.booted }

func (m *Master) bootLocked() {
	if m.state != Fresh {
		return
	}
	m.state = Starting
	go m.open()
}

// open makes the group's slots and starts a worker in each.
func (m *Master) open() {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if !m.cfg.Patient {
		ctx, cancel = awake.WithTimeout(ctx, m.cfg.Start)
	}
	n, err := m.group.Open(ctx, m)
	cancel()
	if err == nil && n < 1 {
		err = errNoSlots
	}
	breaker, ok := m.group.(link.Breaker)
	breaks := ok && err == nil && breaker.Breaks()
	m.mu.Lock()
	m.breaks = breaks
	if m.leaving { // broken, or shut down with nothing to do, in the meantime
		m.unlock()
		if m.group.Close(ctx) != nil { // what Open made after Close had run
			m.cfg.Log.Warn("rankpool: workers that came up too late did not leave")
		}
		return
	}
	defer m.unlock()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no workers after %v: %w", m.cfg.Start, err)
		}
		m.breakDown(&BrokenError{Worker: -1, Rank: -1, Cause: err})
		return
	}
	m.waiting, m.unheard, m.lending.size = n, n, n
	m.unknown = &Hello{Workers: n}
	m.workers = m.newWorkers(0, n)
	m.newProcesses()
	for _, w := range m.workers {
		m.startWorker(w)
	}
}

func (m *Master) newWorkers(first, n int) []*worker {
	all, list := make([]worker, n), make([]*worker, n)
	for i := range all {
		w := &all[i]
		w.slot, w.thread, w.hello = first+i, m.kind.SharesMem, m.unknown
		list[i] = w
	}
	return list
}

// startWorker brings a worker up in an empty slot; it has until the start time-out to be ready.
func (m *Master) startWorker(w *worker) {
	w.state = starting
	w.starts++
	w.hello, w.seq, w.last, w.served, w.epoch, w.long, w.silent, w.heard = m.unknown, 0, 0, 0, 0, false, 0, true
	w.reign, w.untimed, w.parted, w.away = m.reign, 0, elements{}, false
	w.generation, w.held, w.alone = nil, nil, nil
	m.trace.phase(w, trace.Starting, nil)
	m.awaitReady(w, m.patience())
	m.order(w, order{verb: startSlot})
}

// after has f called when d is over and the worker is still in the state that it is in now. The lock is held, and will be.
func (m *Master) after(d time.Duration, w *worker, f func()) {
	state := w.state
	var timer *awake.Timer
	timer = awake.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.unlock()
		if w.timer == timer && w.state == state {
			f()
		}
	})
	w.timer = timer
}

// stopTimer ends what after has begun for a worker.
func (w *worker) stopTimer() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// tooSlow says why a worker that is not ready in time is ended.
func (m *Master) tooSlow(w *worker, limit time.Duration) error {
	where := "its set-up and initializer included"
	if w.hello.Pid == 0 {
		where = "it has not reached futures.Main: look at what the program does before"
	}
	return fmt.Errorf("not ready after %v (%s); if that is legitimate, allow more with WithStartTimeout", limit, where)
}

// greeting is a worker's hello, looked at before the lock is taken: a fingerprint takes its time.
type greeting struct {
	hello    *Hello
	err      error // it is damaged
	mismatch error // it is of another program
}

func (m *Master) examine(slot int, b []byte) *greeting {
	g := new(greeting)
	h, err := parseHello(b)
	if err == nil && m.cfg.Check != nil {
		g.mismatch = m.cfg.Check(slot, h)
	}
	h.Fingerprint = nil // it is large, and nobody asks for it again
	g.hello, g.err = &h, err
	return g
}

// greet takes a worker's hello and sends it the set-up.
func (m *Master) greet(w *worker, g *greeting, out *news) error {
	switch {
	case g.err != nil:
		return g.err
	case w.state != starting:
		return errors.New("a second hello")
	}
	w.hello = g.hello
	w.hello.Workers, w.hello.Host = m.lending.size, m.hostName(g.hello.Host)
	if g.mismatch != nil {
		m.breakWith(out, w.broken("", g.mismatch))
		return nil
	}
	m.setUp(w)
	return nil
}

// hostName returns a name that many workers have in common, once in memory.
func (m *Master) hostName(s string) string {
	if name, ok := m.hosts[s]; ok {
		return name
	}
	if m.hosts == nil {
		m.hosts = map[string]string{}
	}
	m.hosts[s] = s
	return s
}

// setUp sends a worker that has said hello its set-up, of which its number on its host is part. Where workers may be on several
// hosts all get it when the last has said which host it is on.
func (m *Master) setUp(w *worker) {
	if !m.kind.Spread {
		m.sendSetup(w, w.slot, m.lending.size)
		return
	}
	if m.unheard--; m.unheard > 0 {
		return
	}
	hosts := make(map[string]int)
	for _, w := range m.workers {
		hosts[w.hello.Host]++
	}
	next := make(map[string]int, len(hosts))
	for _, w := range m.workers {
		host := w.hello.Host
		m.sendSetup(w, next[host], hosts[host])
		next[host]++
	}
}

func (m *Master) sendSetup(w *worker, onHost, hostCount int) {
	w.site = &Site{Of: m.cfg.Of, Place: Place{
		Index: w.slot, Count: m.lending.size, HostIndex: onHost, HostCount: hostCount,
		Host: w.hello.Host, Pid: w.hello.Pid, Rank: w.hello.Rank,
	}}
	w.site.Slot, w.site.Slots = slotOf(w.slot, m.slots(), m.lending.size)
	b := number(kindSetup, uint64(w.slot))
	clock := 0
	if m.trace != nil {
		clock = 1
	}
	for _, n := range []int{m.lending.size, onHost, hostCount, m.slots(), clock} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if w.site.Slot > 0 && m.slots() > 0 { // the first slot of the process sets it up
		m.send(w, b)
		return
	}
	m.order(w, order{frame: link.Frame{Stream: b, Segments: m.cfg.SetupSegments}, inserts: []insert{{at: len(b), b: m.cfg.Setup}}})
}

// isReady takes the outcome of a worker's set-up.
func (m *Master) isReady(w *worker, coded []byte, out *news) {
	if w.state != starting {
		return
	}
	if len(coded) > 0 {
		if !m.leaving { // else the end has cut its set-up short, and takes it along
			m.refused(w, coded, out)
		}
		return
	}
	w.stopTimer()
	w.state, w.readied = idle, m.now()
	m.ready++
	m.trace.phase(w, trace.Ready, nil)
	if m.extra(w) {
		m.lending.coming--
	}
	if w.follows {
		w.follows = false
		m.report(slog.LevelWarn, "rankpool: worker was replaced", w.attributes())
	} else {
		m.remark(slog.LevelDebug, "rankpool: worker is ready", w.attributes()...)
	}
	if m.isBooted {
		m.idle = append(m.idle, w.slot)
		m.exhaust(w) // its process may have served its time already
		return
	}
	if m.waiting--; m.waiting > 0 {
		return
	}
	for _, w := range m.workers {
		m.idle = append(m.idle, w.slot)
	}
	if m.state == Starting {
		m.state = Serving
	}
	m.bootDone()
}

// refused breaks the pool with the error of a worker's set-up. It is decoded on a goroutine that nobody waits for; the worker has
// not become ready, and is ended by the start time-out if the decoder does not return.
func (m *Master) refused(w *worker, coded []byte, out *news) {
	hello := w.hello
	out.kept = true
	out.aside = append(out.aside, func() {
		err := m.cfg.DecodeSetupError(coded, w.slot, *hello)
		n := newsPool.Get().(*news)
		m.mu.Lock()
		m.breakWith(n, w.broken("", err))
		m.unlockAndDeliver(n)
	})
}

func (m *Master) bootDone() {
	if !m.isBooted {
		m.isBooted = true
		close(m.booted)
	}
}
