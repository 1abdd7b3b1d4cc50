package mpilink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/saturate"
)

// settling is how long after the end of its process, here or on another host, a rank is given up: what it sent before is
// still read.
const settling, settlingFar = 50 * time.Millisecond, 500 * time.Millisecond

// mostUnsure is how long the end waits for the word that a lost rank's process has ended.
var mostUnsure = 3 * time.Second

// endedError is the loss of a rank whose process is known to have ended.
type endedError struct {
	process process
	silence time.Duration
}

// Error says what is known.
func (e *endedError) Error() string {
	return fmt.Sprintf("its process has ended without a goodbye, killed or crashed, silent for %v", e.silence.Round(time.Millisecond))
}

// ended tells whether an error is the end of a process.
func ended(err error) bool { return errors.As(err, new(*endedError)) }

// lossOf is what a group is told of a lost rank, by the number that users know it by.
func lossOf(rank int, err error) error {
	if ended(err) {
		return err
	}
	return fmt.Errorf("rank %d is lost: %w", rank, err)
}

// mayStillRun counts the lost ranks that may still run: no word of their end has come.
var mayStillRun atomic.Int64

// MayStillRun tells whether ranks were lost that may still run. A job cannot end by itself then: it must be aborted.
func MayStillRun() bool { return mayStillRun.Load() > 0 }

// onOtherHosts tells that some rank is where this process cannot see it.
var onOtherHosts atomic.Bool

// OnOtherHosts tells whether ranks have served that run on other hosts than this process.
func OnOtherHosts() bool { return onOtherHosts.Load() }

// losses counts what was marked as lost.
var losses struct {
	sync.Mutex
	n    int
	last time.Time
	next chan struct{} // closed at the next one; nil unless somebody has asked
}

// Losses returns how many ranks were lost so far, or given up with others, and a channel that is closed at the next loss.
func Losses() (n int, next <-chan struct{}) {
	losses.Lock()
	defer losses.Unlock()
	if losses.next == nil {
		losses.next = make(chan struct{})
	}
	return losses.n, losses.next
}

// LastLoss returns when a rank was marked as lost last, the zero time when none was.
func LastLoss() time.Time {
	losses.Lock()
	defer losses.Unlock()
	return losses.last
}

// markLost notes that a rank is lost.
func markLost(err error) {
	mpi.MarkLost()
	losses.Lock()
	losses.n++
	losses.last = time.Now()
	if losses.next != nil {
		close(losses.next)
		losses.next = nil
	}
	losses.Unlock()
	if !ended(err) {
		mayStillRun.Add(1)
	}
}

// watchProcess has a peer's process watched, to give the rank up when it ends before its time: MPI does not tell, and the liveness
// of a scheduler takes its time. A process on another host is watched by another rank there, if there is one.
func (h *Hub) watchProcess(peer int, p process) {
	h.hubMu.Lock()
	h.procs[peer] = p
	if h.place == "" {
		h.place = self().place
	}
	near, first := p.at(h.place), false
	if !near {
		onOtherHosts.Store(true)
		first, h.beats = !h.beats, true
		h.hosts[p.place] = append(h.hosts[p.place], peer)
	}
	h.hubMu.Unlock()
	if near {
		go func() {
			if p.awaitEnd(h.done) {
				h.processEnded(peer, p, settling)
			}
		}()
	}
	h.guard(p.place)
	if first {
		go h.beat()
	}
}

// guard gives every rank of another host a rank beside it that watches its process.
func (h *Hub) guard(place string) {
	if place == "" {
		return
	}
	type order struct {
		watcher, watched int
		about            process
	}
	var orders []order
	h.hubMu.Lock()
	for _, watched := range h.hosts[place] {
		if w, ok := h.watchers[watched]; h.gone[watched] != nil || ok && h.gone[w] == nil {
			continue
		}
		for _, w := range h.hosts[place] {
			if w != watched && h.gone[w] == nil {
				h.watchers[watched] = w
				orders = append(orders, order{w, watched, h.procs[watched]})
				break
			}
		}
	}
	h.hubMu.Unlock()
	for _, o := range orders {
		_ = h.note(o.watcher, 0, kindWatch, appendWatched(nil, o.watched, o.about)...) // a failure is noticed by the poller
	}
	h.nudge()
}

// toldByRank takes a rank's word that the process of one beside it has ended.
func (h *Hub) toldByRank(peer, watched int) {
	h.hubMu.Lock()
	p, known := h.procs[watched]
	known = known && p.place == h.procs[peer].place
	h.hubMu.Unlock()
	if known {
		h.processEnded(watched, p, settlingFar)
	}
}

// toldByMPI takes the library's word that the process of a rank has ended. It may come often.
func (h *Hub) toldByMPI(peer int) {
	if h.told[peer] {
		return
	}
	h.told[peer] = true
	h.hubMu.Lock()
	p := h.procs[peer]
	h.hubMu.Unlock()
	h.processEnded(peer, p, settling)
}

// How often the ranks of other hosts are told that the master is there, and how many of the longest liveness without a word
// make it lost. It is more than one: the master gives up first.
const (
	beatTurns   = 8
	beatLeast   = 100 * time.Millisecond
	beatMost    = 5 * time.Second
	masterSpans = 2
)

// setLiveness takes the liveness of a group. The hub's lock is held.
func (h *Hub) setLiveness(liveness time.Duration) {
	if liveness <= 0 {
		liveness = DefaultLiveness
	}
	if h.fixed {
		liveness = max(liveness, h.longest)
	}
	h.fixed, h.longest = true, liveness
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// beat tells the ranks of other hosts that the master is there, until the end.
func (h *Hub) beat() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-h.done:
			return
		case <-h.changed:
		case <-timer.C:
		}
		h.hubMu.Lock()
		limit := saturate.Mul(h.longest, masterSpans)
		var far []int
		for _, all := range h.hosts {
			for _, peer := range all {
				if h.gone[peer] == nil {
					far = append(far, peer)
				}
			}
		}
		h.hubMu.Unlock()
		for _, peer := range far {
			_ = h.note(peer, 0, kindBeat, binary.LittleEndian.AppendUint64(nil, uint64(limit))...)
		}
		h.nudge()
		timer.Reset(min(max(limit/beatTurns, beatLeast), beatMost))
	}
}

// over tells whether nobody polls any more.
func (h *Hub) over() bool {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	return h.stopping || h.failed != nil
}

// mayLeave tells whether the ranks may end now.
func (h *Hub) mayLeave() bool {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	return h.leaving
}

// processEnded gives up a rank whose process has ended, unless it was to.
func (h *Hub) processEnded(peer int, p process, settling time.Duration) {
	if h.mayLeave() {
		return
	}
	h.attend(1)
	begin := time.Now()
	var look func()
	look = func() { // called by the goroutine that polls
		if h.over() {
			h.attend(-1)
			return
		}
		heard := h.heard[peer]
		if time.Since(heard) < settling && time.Since(begin) < time.Second {
			time.AfterFunc(settling, func() { h.do(look) })
			return
		}
		h.attend(-1)
		if heard.IsZero() {
			heard = begin
		}
		h.lose(peer, &endedError{p, time.Since(heard)})
	}
	time.AfterFunc(settling, func() { h.do(look) })
}
