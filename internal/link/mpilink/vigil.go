package mpilink

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// settling is how long after the end of its process a rank is given up: what it sent before is still read.
const settling = 50 * time.Millisecond

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

// lossOf is what a group is told of a lost rank.
func lossOf(peer int, err error) error {
	if ended(err) {
		return err
	}
	return fmt.Errorf("rank %d is lost: %w", peer, err)
}

// adrift counts the lost ranks that may still run: no word of their end has come.
var adrift atomic.Int64

// Adrift tells whether ranks were lost that may still run. A job cannot end by itself then: it must be aborted.
func Adrift() bool { return adrift.Load() > 0 }

// markLost notes that a rank is lost.
func markLost(err error) {
	mpi.MarkLost()
	if !ended(err) {
		adrift.Add(1)
	}
}

// vigil watches a peer's process, where this one can see it, and gives the rank up when it ends before its time. MPI does
// not tell, and the liveness of a scheduler takes its time.
func (h *Hub) vigil(peer int, p process) {
	if !p.near() {
		return
	}
	go func() {
		if p.awaitEnd(h.done) {
			h.buried(peer, p)
		}
	}()
}

// buried gives up a rank whose process has ended, unless it was to.
func (h *Hub) buried(peer int, p process) {
	h.hubMu.Lock()
	leaving := h.leaving
	h.hubMu.Unlock()
	if leaving {
		return
	}
	h.attend(1)
	begin := time.Now()
	var look func()
	look = func() { // called by who polls
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
