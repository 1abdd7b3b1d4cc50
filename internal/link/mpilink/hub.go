package mpilink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Hub is the master's end of a communicator whose other ranks serve (Serve). Groups share it. Its methods may be called
// together.
type Hub struct {
	wire
	first, peers int   // the ranks that serve are first, first+1, ... first+peers-1
	names        []int // the world's numbers of the communicator's ranks; nil where they are the same, or of another world
	noted        func(rank int, note string)
	moves        []atomic.Uint64 // by rank: parts of frames that have come from it and that have left for it

	poller
	attention atomic.Int32 // groups that attend to their workers, and a Close that waits

	hubMu     sync.Mutex // guards what follows; no other lock is taken under it
	commands  []func()   // for the goroutine that polls, which alone calls handlers
	workers   map[uint64]*remote
	lastID    uint64
	lastGroup uint64
	gone      map[int]error   // peers that were lost
	left      map[int]bool    // peers that have said goodbye
	procs     map[int]process // of the peers, as far as they have said so
	naps      map[*Group]time.Duration
	failed    error // polling is impossible
	closing   bool
	place     string           // where this process is
	hosts     map[string][]int // peers on other hosts, by place
	watchers  map[int]int      // which of them watches which
	beats     bool             // they are told that the master is there
	longest   time.Duration    // the longest liveness of a group, the default as long as there is none
	changed   chan struct{}    // one token: longest has changed
	fixed     bool             // there has been a group
	stopping  bool
	leaving   bool // the ranks may end now

	news chan struct{} // one token: left, gone or failed changed, for Close

	// Only the goroutine that polls knows these: when something came last, and when something of each peer did.
	now   time.Time
	heard map[int]time.Time
	told  map[int]bool // MPI has told of their end
}

// remote is a worker as the master sees it. It belongs to the goroutine that polls, but for the first line.
type remote struct {
	group *Group
	slot  int
	id    uint64
	peer  int
	lane
	over bool // its loss was reported
}

// Lead returns the master's end of c and begins to poll. In an intracommunicator this is the end of rank 0, which the
// others serve; in an intercommunicator the whole remote group serves. c stays the caller's and must outlive the Hub.
// Close it.
func Lead(c *mpi.Comm, o Options) (*Hub, error) {
	first, peers := 1, c.Size()-1
	if c.IsInter() {
		first, peers = 0, c.RemoteSize()
	}
	if peers < 1 {
		return nil, errors.New("mpilink: no rank to serve this one")
	}
	names, err := worldRanks(c)
	if err != nil {
		return nil, err
	}
	port, err := newPort(c, o)
	if err != nil {
		return nil, err
	}
	h := newHub(o, first, peers)
	h.names = names
	h.join(port)
	h.moves = make([]atomic.Uint64, h.first+h.peers)
	h.moved = func(peer int) {
		if peer >= 0 && peer < len(h.moves) {
			h.moves[peer].Add(1)
		}
	}
	about := self().append(nil)
	for peer := h.first; peer < h.first+h.peers; peer++ {
		if err := h.note(peer, 0, kindMaster, about...); err != nil {
			return nil, err
		}
	}
	go h.run()
	return h, nil
}

func newHub(o Options, first, peers int) *Hub {
	return &Hub{
		first: first, peers: peers, noted: o.Noted, poller: newPoller(), news: make(chan struct{}, 1),
		workers: map[uint64]*remote{}, gone: map[int]error{}, left: map[int]bool{}, naps: map[*Group]time.Duration{},
		procs: map[int]process{}, heard: map[int]time.Time{}, told: map[int]bool{}, hosts: map[string][]int{}, watchers: map[int]int{},
		longest: DefaultLiveness, changed: make(chan struct{}, 1),
	}
}

// worldRanks returns the numbers that the ranks of a communicator have in the world; nil where they are the same, or of another world.
func worldRanks(c *mpi.Comm) ([]int, error) {
	if c.IsInter() {
		return nil, nil
	}
	world, err := mpi.World()
	if err != nil {
		return nil, err
	}
	ranks, err := c.RanksIn(world)
	if err != nil {
		return nil, err
	}
	for i, rank := range ranks {
		if i != rank {
			return ranks, nil
		}
	}
	return nil, nil
}

// name is by which number users know a peer: the world's.
func (h *Hub) name(peer int) int {
	if peer < 0 || peer >= len(h.names) || h.names[peer] < 0 {
		return peer
	}
	return h.names[peer]
}

// Peers is how many ranks serve, the lost ones included.
func (h *Hub) Peers() int { return h.peers }

// attend counts those that want the poller to look.
func (h *Hub) attend(by int32) {
	h.attention.Add(by)
	if by > 0 && h.rests.Load() != napping { // else it looks now and then anyway
		h.nudge()
	}
}

// do has the poller call f.
func (h *Hub) do(f func()) {
	h.hubMu.Lock()
	h.commands = append(h.commands, f)
	dead := h.failed != nil || h.stopping
	h.hubMu.Unlock()
	if dead {
		h.late()
		return
	}
	h.port.Wake()
	h.nudge()
}

// late runs commands once the hub has failed or stopped. While somebody has the turn, perhaps the caller, it leaves them to
// whoever that is, who calls it afterwards.
func (h *Hub) late() {
	for h.over() && h.hasCommands() && h.turn.TryLock() {
		h.runCommands()
		h.turn.Unlock()
	}
}

func (h *Hub) hasCommands() bool {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	return len(h.commands) > 0
}

func (h *Hub) runCommands() (ran, stop bool) {
	for {
		h.hubMu.Lock()
		if len(h.commands) == 0 {
			stop = h.stopping
			h.hubMu.Unlock()
			return ran, stop
		}
		f := h.commands[0]
		h.commands = h.commands[1:]
		h.hubMu.Unlock()
		f()
		ran = true
	}
}

// backoff is the shortest of the open groups'.
func (h *Hub) backoff() time.Duration {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	limit := time.Duration(0)
	for _, d := range h.naps {
		if limit == 0 || d < limit {
			limit = d
		}
	}
	if limit == 0 {
		return DefaultBackoff
	}
	return limit
}

// event takes one event of the port.
func (h *Hub) event(e *mpi.Event) {
	switch e.Kind {
	case mpi.Received:
		h.heard[e.Peer] = h.now
		if !h.eachHead(e.Data, func(hd head) { h.head(e.Peer, hd) }) {
			h.lose(e.Peer, errHead)
		}
	case mpi.Arrived: // no message of heads is that long
		_ = h.port.Take(e.Message, make([]byte, e.Len), ^uint64(0))
		h.lose(e.Peer, errHead)
	default:
		t := h.settle(e)
		switch {
		case e.Kind != mpi.Failed || e.Peer < 0:
		case e.Err == mpi.ErrEnded:
			h.toldByMPI(e.Peer)
		default:
			h.lose(e.Peer, e.Err)
		}
		if t != nil && t.in != nil {
			h.deliverFrom(e.Peer)
		}
	}
}

// head takes a head of a rank.
func (h *Hub) head(peer int, hd head) {
	data, kind := hd.data, hd.kind
	if err := h.came.check(peer, hd.number); err != nil {
		h.lose(peer, err)
		return
	}
	if kind == kindBye {
		h.hubMu.Lock()
		h.left[peer] = true
		h.hubMu.Unlock()
		h.signal()
		return
	}
	if kind == kindSelf {
		if p, ok := readProcess(data); ok {
			h.watchProcess(peer, p)
		}
		return
	}
	if kind == kindProcessEnded {
		if watched, _, ok := readWatched(data); ok {
			h.toldByRank(peer, watched)
		}
		return
	}
	if kind == kindNote {
		if h.noted != nil {
			h.noted(h.name(peer), string(data))
		}
		return
	}
	h.hubMu.Lock()
	r := h.workers[hd.id]
	h.hubMu.Unlock()
	if r == nil || r.peer != peer {
		h.lose(peer, errHead)
		return
	}
	switch kind {
	case kindEnded:
		r.push(incoming{ended: true, ready: true, why: string(data)})
	case kindFrame:
		if r.empty() && !r.over { // nothing to queue behind
			r.group.handler.Receive(r.slot, link.Frame{Stream: append(link.GetBuffer(), data...)})
			return
		}
		fallthrough
	case kindParts, kindLength:
		if err := h.receive(&r.lane, peer, kind, data); err != nil {
			h.lose(peer, err)
			return
		}
	default:
		h.lose(peer, errHead)
		return
	}
	h.deliver(r)
}

// deliverFrom delivers what is complete by now of a rank's workers.
func (h *Hub) deliverFrom(peer int) {
	for _, r := range h.of(peer) {
		h.deliver(r)
	}
}

// of returns a peer's workers.
func (h *Hub) of(peer int) []*remote {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	var all []*remote
	for _, r := range h.workers {
		if r.peer == peer {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *remote) int { return int(a.id) - int(b.id) })
	return all
}

// deliver hands a worker's frames on, in order.
func (h *Hub) deliver(r *remote) {
	for {
		in, ok := r.pop()
		switch {
		case !ok:
			return
		case in.ended:
			h.forget(r)
			var err error
			if in.why != "" {
				err = fmt.Errorf("rank %d: %s", h.name(r.peer), in.why)
			}
			r.report(err)
			return
		case r.over:
			link.PutBuffer(in.frame.Stream)
		case in.err == mpi.ErrEnded: // the frames behind this one are of no use without it
			h.hubMu.Lock()
			p := h.procs[r.peer]
			h.hubMu.Unlock()
			h.lose(r.peer, &endedError{p, time.Since(h.heard[r.peer])})
			return
		case in.err != nil:
			h.lose(r.peer, in.err)
			return
		default:
			r.group.handler.Receive(r.slot, in.frame)
		}
	}
}

func (h *Hub) forget(r *remote) {
	h.hubMu.Lock()
	delete(h.workers, r.id)
	h.hubMu.Unlock()
}

// report tells the group of a loss, once.
func (r *remote) report(err error) {
	if r.over {
		return
	}
	r.over = true
	r.group.lost(r, err)
}

// lose gives a rank up: it is gone, or nothing can be sent to it.
func (h *Hub) lose(peer int, err error) {
	h.hubMu.Lock()
	before, known := h.gone[peer]
	if !known || !ended(before) {
		h.gone[peer] = err
	}
	h.hubMu.Unlock()
	if known && ended(err) && !ended(before) {
		mayStillRun.Add(-1)
		h.signal()
	}
	if known || peer < 0 {
		return
	}
	markLost(err)
	_ = h.port.Abandon(peer)
	for _, r := range h.of(peer) {
		h.forget(r)
		r.report(lossOf(h.name(peer), err))
	}
	h.signal()
	h.hubMu.Lock()
	place := h.procs[peer].place
	h.hubMu.Unlock()
	h.guard(place) // it may have watched others
}

// fail ends the hub: the communicator is of no use any more. The turn is held.
func (h *Hub) fail(err error) {
	h.hubMu.Lock()
	h.failed = err
	h.hubMu.Unlock()
	mpi.MarkLost()
	for peer := h.first; peer < h.first+h.peers; peer++ {
		h.lose(peer, err)
	}
	h.runCommands()
	h.signal()
}

func (h *Hub) signal() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// alive returns the ranks that have not been lost.
func (h *Hub) alive() []int {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	var all []int
	for peer := h.first; peer < h.first+h.peers; peer++ {
		if h.gone[peer] == nil {
			all = append(all, peer)
		}
	}
	return all
}

// whole tells whether no rank was lost.
func (h *Hub) whole() bool { return len(h.alive()) == h.peers }

// Close lets the ranks leave: their Serve returns. It blocks until all have answered, or until ctx ends; the error then
// names those that have not, nobody leaves, and MPI must be aborted. Groups must be closed before. A second call does
// nothing.
func (h *Hub) Close(ctx context.Context) error {
	h.hubMu.Lock()
	if h.closing {
		h.hubMu.Unlock()
		return nil
	}
	h.closing = true
	h.hubMu.Unlock()
	h.attend(1)
	defer h.attend(-1)
	for _, peer := range h.alive() {
		if err := h.note(peer, 0, kindBye); err != nil {
			h.do(func() { h.lose(peer, err) })
		}
	}
	h.nudge()
	silent := h.awaitGoodbyes(ctx)
	if len(silent) == 0 {
		h.awaitEnds(ctx)
		// Not before: Open MPI's mpiexec hangs or crashes when a job is aborted while one of its ranks is in MPI_Finalize.
		h.hubMu.Lock()
		h.leaving = true
		var about []byte
		if len(h.gone) > 0 {
			about = []byte{withoutMPI}
		}
		h.hubMu.Unlock()
		for _, peer := range h.alive() {
			_ = h.note(peer, 0, kindLeave, about...) // a failure shows when the port is closed
		}
	}
	h.do(func() {
		h.hubMu.Lock()
		h.stopping = true
		h.hubMu.Unlock()
	})
	<-h.done
	var err error
	if len(silent) > 0 {
		markLost(nil)
		for i, peer := range silent {
			silent[i] = h.name(peer)
		}
		err = fmt.Errorf("ranks [%s] did not answer when they were told to leave, because they are stopped or stuck or their hosts are cut off: %w",
			strings.Trim(fmt.Sprint(silent), "[]"), context.Cause(ctx))
	}
	return errors.Join(err, h.port.Close(ctx))
}

// awaitEnds waits for the word that the process of every lost rank has ended, which comes some time after the first sign of the loss.
// A rank of which there is no such word may still run, and the job must be aborted.
func (h *Hub) awaitEnds(ctx context.Context) {
	limit := time.NewTimer(mostUnsure)
	defer limit.Stop()
	for h.unsure() {
		select {
		case <-h.news:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// unsure tells whether a lost rank may still run, and word of its end may still come.
func (h *Hub) unsure() bool {
	h.hubMu.Lock()
	defer h.hubMu.Unlock()
	if h.failed != nil {
		return false
	}
	for peer, err := range h.gone {
		if _, known := h.procs[peer]; known && !ended(err) {
			return true
		}
	}
	return false
}

// awaitGoodbyes returns the ranks that are silent at the end of ctx.
func (h *Hub) awaitGoodbyes(ctx context.Context) []int {
	for {
		silent := slices.DeleteFunc(h.alive(), func(peer int) bool {
			h.hubMu.Lock()
			defer h.hubMu.Unlock()
			return h.left[peer]
		})
		if len(silent) == 0 {
			return nil
		}
		select {
		case <-h.news:
		case <-ctx.Done():
			return silent
		}
	}
}
