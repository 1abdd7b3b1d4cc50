package mpilink

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// rank is the end of a rank that serves.
type rank struct {
	wire
	master int
	serve  func(link.Endpoint) error

	rankMu    sync.Mutex // guards what follows; taken before wire.mu
	endpoints map[uint64]*endpoint
	driving   bool // somebody polls, or sleeps between polls
	asleep    bool
	polled    bool // since untilBye looked last
	hurry     bool // something was queued that the driver has not seen
	stray     lane // frames for workers that have ended
	parked    []*parking
	bye       bool // the master has said goodbye: no worker is served any more
	leave     bool // and all ranks know
	boss      process
	limit     time.Duration // of the silence of a master that is far; 0 until it has said
	heard     bool          // something came from the master
	err       error

	stop   chan struct{} // closed when the rank has done serving
	free   chan struct{} // one token: no worker is left, or the end has come
	parker parker        // of the driver

	// The driver's own.
	events []mpi.Event
	patience
}

// parking is where a goroutine waits while another one polls.
type parking struct {
	wake chan struct{}
	here bool // guarded by rankMu
}

func newParking() *parking { return &parking{wake: make(chan struct{}, 1)} }

// Serve runs workers for the master at the other side of c: rank 0 of an intracommunicator or of the remote group. Each
// worker runs serve on a goroutine of its own; one that returns an error, or without closing its endpoint, panics or calls
// runtime.Goexit is a loss. Serve blocks until the master closes its Hub and every other rank knows, which is nil, until
// the master is gone, or until MPI fails. Workers that are still busy then are abandoned.
func Serve(c *mpi.Comm, o Options, serve func(link.Endpoint) error) error {
	port, err := newPort(c, o)
	if err != nil {
		return err
	}
	defer fresh.Steady()()
	r := &rank{
		serve: serve, endpoints: map[uint64]*endpoint{}, free: make(chan struct{}, 1), parker: newParker(),
		events: make([]mpi.Event, pollRoom),
	}
	r.join(port)
	if err := r.note(r.master, 0, kindSelf, self().append(nil)...); err != nil {
		return err
	}
	for _, n := range o.Notes {
		if err := r.note(r.master, 0, kindNote, []byte(n[:min(len(n), longest-tail)])...); err != nil {
			return err
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	r.stop = stop
	alone := make(chan error, 1)
	go func() {
		defer close(stopped)
		if err := r.watch(stop); err != nil {
			alone <- err
		}
	}()
	if o.gone != nil {
		go r.failWhen(o.gone, stop)
	}
	served := make(chan error, 1)
	go func() { served <- r.untilBye() }()
	select {
	case err = <-served:
	case err = <-alone:
		select {
		case err = <-served:
		case <-time.After(leaving): // MPI hangs, since its peer is gone
		}
		close(stop)
		return err
	}
	close(stop)
	<-stopped
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	return errors.Join(err, port.Close(ctx))
}

// spareTurn is how often untilBye looks whether anybody polls.
const spareTurn = 5 * time.Millisecond

// untilBye polls while no worker is there to do it, and now and then while all of them are busy: the master may have
// started another one, or cut one off.
func (r *rank) untilBye() error {
	own := newParking()
	ticks := time.NewTicker(spareTurn)
	defer ticks.Stop()
	for {
		r.await(own, func() bool { return r.leave || r.err != nil || !r.bye && len(r.endpoints) > 0 })
		r.rankMu.Lock()
		leave, err := r.leave, r.err
		r.rankMu.Unlock()
		if leave || err != nil {
			return err
		}
		select {
		case <-r.free:
		case <-ticks.C:
			r.spare()
		}
	}
}

// spare polls once unless somebody has since the last call.
func (r *rank) spare() {
	r.rankMu.Lock()
	defer r.rankMu.Unlock()
	if !r.driving && !r.polled && r.err == nil {
		r.turn(0, false)
		if len(r.parked) > 0 {
			r.unpark(r.parked[0])
		}
	}
	r.polled = false
}

// await blocks until ready, which is called with the lock held, and polls unless another goroutine does. p is the
// caller's own.
func (r *rank) await(p *parking, ready func() bool) {
	r.rankMu.Lock()
	for !ready() && r.err == nil {
		if r.driving {
			p.here = true
			r.parked = append(r.parked, p)
			r.rankMu.Unlock()
			<-p.wake
			r.rankMu.Lock()
			continue
		}
		r.turn(r.spin(), true)
	}
	// The next one drives, if there is one.
	if !r.driving && len(r.parked) > 0 {
		r.unpark(r.parked[0])
	}
	r.rankMu.Unlock()
}

// unpark lets a parked goroutine look again. The lock is held.
func (r *rank) unpark(p *parking) {
	if p == nil || !p.here {
		return
	}
	p.here = false
	r.parked = slices.DeleteFunc(r.parked, func(q *parking) bool { return p == q })
	p.wake <- struct{}{}
}

// turn polls once and takes what came, or sleeps when there has been nothing for a while. The lock is held on entry and
// on return.
func (r *rank) turn(spin time.Duration, mayNap bool) {
	r.driving, r.polled, r.hurry = true, true, false
	r.rankMu.Unlock()
	n, err := r.port.Poll(spin, r.events)
	r.rankMu.Lock()
	for i := range r.events[:n] {
		r.event(&r.events[i])
	}
	if err != nil {
		r.fail(err)
	}
	if n > 0 || r.hurry {
		r.reset()
	} else if mayNap && err == nil {
		if nap := r.pause(r.parts(), r.backoff()); nap > NoBackoff {
			r.sleep(nap)
		} else if nap > 0 {
			runtime.Gosched()
		}
	}
	r.driving = false
}

func (r *rank) sleep(nap time.Duration) {
	r.asleep = true
	r.rankMu.Unlock()
	woken := r.parker.parkFor(nap)
	r.rankMu.Lock()
	r.asleep = false
	if woken { // the master has an answer to give
		r.reset()
	}
}

// push sees to it that what was just queued leaves, also when nobody polls.
func (r *rank) push() {
	r.rankMu.Lock()
	defer r.rankMu.Unlock()
	switch {
	case r.driving && !r.asleep:
		r.hurry = true
	case r.asleep:
		r.parker.unpark()
	case r.err == nil && !r.bye:
		r.turn(0, false)
		if len(r.parked) > 0 {
			r.unpark(r.parked[0])
		}
	}
}

// backoff is the shortest of the workers'. The lock is held.
func (r *rank) backoff() time.Duration {
	limit := time.Duration(0)
	for _, e := range r.endpoints {
		if limit == 0 || e.nap < limit {
			limit = e.nap
		}
	}
	if limit == 0 {
		return DefaultBackoff
	}
	return limit
}

// fail ends everything, unless the rank is to leave anyway. The lock is held.
func (r *rank) fail(err error) {
	if r.err == nil && !r.leave {
		r.err = err
	}
	r.over()
}

// over wakes everybody: the end has come. The lock is held.
func (r *rank) over() {
	for len(r.parked) > 0 {
		r.unpark(r.parked[0])
	}
	r.release()
}

// release lets untilBye go on. The lock is held.
func (r *rank) release() {
	select {
	case r.free <- struct{}{}:
	default:
	}
}

// event takes one event of the port. The lock is held.
func (r *rank) event(e *mpi.Event) {
	switch e.Kind {
	case mpi.Received:
		if !r.eachHead(e.Data, r.head) {
			r.fail(errHead)
		}
	case mpi.Arrived:
		_ = r.port.Take(e.Message, make([]byte, e.Len), ^uint64(0))
		r.fail(errHead)
	default:
		t := r.settle(e)
		switch {
		case e.Kind != mpi.Failed, e.Err == mpi.ErrEnded && e.Peer != r.master: // another worker concerns the master alone
		case e.Err == mpi.ErrEnded:
			_ = r.masterEnds()
		default:
			r.fail(e.Err)
		}
		switch {
		case t == nil:
		case t.in != nil:
			for _, ep := range r.endpoints {
				if &ep.lane == t.from {
					r.unpark(ep.parking)
				}
			}
		default:
			t.over = true
			r.unpark(t.waiter)
		}
	}
}

// head takes a head of the master. The lock is held.
func (r *rank) head(hd head) {
	data, kind := hd.data, hd.kind
	if err := r.came.check(r.master, hd.number); err != nil {
		r.fail(err)
		return
	}
	r.heard = true
	switch kind {
	case kindBeat:
		if len(data) == 8 {
			r.limit = time.Duration(binary.LittleEndian.Uint64(data))
		}
		return
	case kindWatch:
		if watched, p, ok := readWatched(data); ok {
			go r.guard(watched, p)
		}
		return
	case kindBye, kindLeave:
		r.bye, r.leave = true, kind == kindLeave
		if len(data) > 0 && data[0] == withoutMPI {
			mpi.MarkLost()
		}
		for _, ep := range r.endpoints { // nothing may come after the goodbye: it would stay in a communicator that is given up
			ep.mute()
		}
		if kind == kindBye {
			if err := r.note(r.master, 0, kindBye); err != nil {
				r.fail(err)
			}
		}
		r.over()
		return
	case kindMaster:
		boss, ok := readProcess(data)
		if !ok {
			r.fail(errHead)
		}
		r.boss = boss
		return
	case kindStart:
		args, ok := readStart(data)
		if !ok {
			r.fail(errHead)
			return
		}
		ep := &endpoint{rank: r, id: hd.id, startArgs: args, parking: newParking(), journal: newJournal()}
		r.endpoints[hd.id] = ep
		go ep.run()
		return
	}
	ep := r.endpoints[hd.id]
	switch {
	case kind == kindFinish || kind == kindCut:
		if ep != nil {
			ep.finished, ep.cut = true, ep.cut || kind == kindCut
		}
	case ep == nil: // the parts are on their way and must be received
		if err := r.receive(&r.stray, r.master, kind, data); err != nil {
			r.fail(err)
		}
		r.stray.queue, r.stray.head = nil, 0
	default:
		if err := r.receive(&ep.lane, r.master, kind, data); err != nil {
			r.fail(err)
		}
	}
	if ep != nil {
		r.unpark(ep.parking)
	}
}

// mostMissing is how many lost ranks can be told of at the start of a worker.
const mostMissing = (longest - tail - startSize) / 8

const startSize = 40

// startArgs is the content of kindStart.
type startArgs struct {
	slot     int
	nap      time.Duration
	group    uint64 // its number
	ordered  bool   // its slots are on the ranks in order, so many on each as it has siblings
	siblings int    // how many workers of the group this rank has; 1 where nobody counts
	missing  []int  // the ranks that were lost before, where the slots are in order
}

func (a startArgs) append(b []byte) []byte {
	ordered := uint64(0)
	if a.ordered {
		ordered = 1
	}
	for _, n := range []uint64{uint64(a.slot), uint64(a.nap), a.group, ordered, uint64(a.siblings)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	for _, peer := range a.missing {
		b = binary.LittleEndian.AppendUint64(b, uint64(peer))
	}
	return b
}

func readStart(b []byte) (a startArgs, ok bool) {
	if len(b) < startSize || len(b)%8 != 0 {
		return a, false
	}
	u := binary.LittleEndian.Uint64
	a.slot, ok = count(b)
	siblings, counted := count(b[32:])
	if !ok || !counted || u(b[24:]) > 1 {
		return a, false
	}
	a.siblings, a.nap, a.group, a.ordered = siblings, time.Duration(u(b[8:])), u(b[16:]), u(b[24:]) == 1
	for at := startSize; at < len(b) && ok; at += 8 {
		var peer int
		peer, ok = count(b[at:])
		a.missing = append(a.missing, peer)
	}
	return a, ok
}

// masterEnds takes the end of the master's process. After its goodbye this is as good as its word that all ranks know, which it does not see
// off: with failures that are told, the news of its end may come first. Before, it is an error. The lock is held.
func (r *rank) masterEnds() error {
	if r.bye {
		r.leave = true
		mpi.MarkLost()
		r.over()
		return nil
	}
	where := ""
	if r.boss.near() {
		where = " on this host"
	}
	err := fmt.Errorf("the master (process %d%s) %w; this rank ends too", r.boss.pid, where, ErrMasterEnded)
	r.fail(err)
	return err
}

// String names this rank for an error.
func (r *rank) String() string { return fmt.Sprintf("rank %d", r.port.Comm().Rank()) }
