//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// rawPort is the loop under Port. What outlives a call of the library lies in memory of C.
type rawPort = *loadedPort

// inFlight is an operation on its way.
type inFlight struct {
	page            *pageHead // nil unless the bytes lie in it
	token           uint64
	peer, tag, kind int32
	length          int64
}

// slot is a receive that waits for a message, and the message until the poll after the one that reported it.
type slot struct {
	request uint64
	data    unsafe.Pointer
}

type loadedPort struct {
	*bound
	comm           uintptr
	tag, peers     int
	eager, longest int64

	// A ring. Of its receives, posted wait, and next is the one that is matched first: MPI matches in the order of posting.
	slots        []slot
	room         unsafe.Pointer // their memory
	next, posted int
	closing      bool

	// Operations on their way: arrays of the same length, as MPI_Testsome wants the requests side by side.
	flying   []inFlight
	requests []uint64 // handles at their width
	indices  []int32
	statuses []uint64

	events []portEvent
	nev    int

	arena               unsafe.Pointer
	arenaUsed, arenaCap int64

	lost   []bool // given up
	dead   []death
	untold bool // some are not reported

	kick atomic.Int32 // something was queued, so a poll that spins shall come back for it

	look  [2]clib.Call // for a message, and for operations that are over
	begin [2]clib.Call // starts an operation, and tests it
	post1 [1]clib.Call // posts a receive

	// What the library writes.
	found, some, done int32
	status            [4]uint64
	made, message     uint64
}

// death is what is known of a rank from the library.
type death byte

const (
	alive death = iota
	dead        // the library has said so
	told        // and it is reported
)

func rawPortNew(comm uintptr, o PortOptions, peers int) (rawPort, *atomic.Int32) {
	p := &loadedPort{
		bound: lib, comm: lib.comm(comm), tag: o.Tag, peers: peers, eager: int64(o.Eager), longest: int64(o.Longest),
		events: make([]portEvent, o.Events), lost: make([]bool, peers+1), dead: make([]death, peers+1),
	}
	if o.Posted > 0 {
		if p.room = rawStageNew(o.Posted * o.Longest); p.room == nil {
			return nil, nil
		}
		p.slots = make([]slot, o.Posted)
		for i := range p.slots {
			p.slots[i].data = unsafe.Add(p.room, i*o.Longest)
		}
	} else {
		p.arenaCap = int64(o.Arena)
		if p.arena = rawStageNew(o.Arena); p.arena == nil {
			return nil, nil
		}
	}
	return p, &p.kick
}

func rawPortFree(p rawPort) {
	rawStageFree(p.room)
	rawStageFree(p.arena)
}

func rawPortEvent(p rawPort, i int) *portEvent { return &p.events[i] }
func rawPortPosted(p rawPort) int              { return p.posted }

// rawPortData is the received message, in memory of C.
func rawPortData(_ rawPort, e *portEvent) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&e.ptr)), e.len)
}

func rawPageNew(n int64) *pageHead {
	h := (*pageHead)(rawStageNew(int(n) + int(unsafe.Sizeof(pageHead{}))))
	if h != nil {
		*h = pageHead{cap: n}
	}
	return h
}

func rawPageFree(h *pageHead) { rawStageFree(unsafe.Pointer(h)) }

func (p *loadedPort) report(kind EventKind, peer, tag int32, code int, length int64, token, ptr uint64) {
	if kind == Failed && code != lossCode && peer >= 0 && p.isLoss(code) {
		code = lossCode
	}
	p.events[p.nev] = portEvent{kind: int32(kind), peer: peer, tag: tag, code: int32(code), len: length, token: token, ptr: ptr}
	p.nev++
}

// mourn reports the ranks of whose loss the library has told.
func (p *loadedPort) mourn(limit int) {
	p.untold = false
	for i := range p.peers {
		if p.dead[i] != dead {
			continue
		}
		if p.nev >= limit {
			p.untold = true
			return
		}
		p.dead[i] = told
		p.report(Failed, int32(i), int32(p.tag), lossCode, 0, 0, 0)
	}
}

// notice turns an error of a receive from any rank that only says that some rank is lost into the report of that rank.
func (p *loadedPort) notice(code, limit int) int {
	if !p.isLoss(code) {
		return code
	}
	code = p.acknowledge(p.comm, p.peers, func(rank int) {
		if p.dead[rank] == alive {
			p.dead[rank] = dead
		}
	})
	p.mourn(limit)
	return code
}

// request is where the handle of an operation on its way lies.
func (p *loadedPort) request(i int) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(p.requests)), uintptr(i)*p.width())
}

// move puts the operation from at the place to.
func (p *loadedPort) move(to, from int) {
	p.flying[to] = p.flying[from]
	if p.wide {
		*(*uint64)(p.request(to)) = *(*uint64)(p.request(from))
	} else {
		*(*uint32)(p.request(to)) = *(*uint32)(p.request(from))
	}
}

// add takes the operation in whose request is p.made.
func (p *loadedPort) add(f inFlight) {
	i := len(p.flying)
	p.flying = append(p.flying, f)
	if i >= len(p.requests) { // as many as there are with wide handles
		p.requests = append(p.requests, make([]uint64, max(64, i))...)
		p.indices = make([]int32, len(p.requests))
		p.statuses = make([]uint64, (uintptr(len(p.requests))*p.statusSize+7)/8)
	}
	if p.wide {
		*(*uint64)(p.request(i)) = p.made
	} else {
		*(*uint32)(p.request(i)) = *(*uint32)(unsafe.Pointer(&p.made))
	}
}

// start starts one operation. Small sends are nearly always over when MPI_Isend returns, so they are tested on the spot.
func (p *loadedPort) start(g *pageHead, o *portOp) {
	if o.peer >= 0 && int(o.peer) < p.peers && p.lost[o.peer] {
		p.report(Failed, o.peer, o.tag, 0, o.len, o.token, 0)
		return
	}
	data := uintptr(o.ptr)
	if o.inside != 0 || o.ptr == 0 {
		data = uintptr(unsafe.Pointer(o)) + unsafe.Sizeof(portOp{})
	}
	p.done = 0
	p.write(&p.made, p.requestNull)
	code := p.typed(o.len, func(count, kind uintptr) int {
		c := &p.begin[0]
		made := uintptr(unsafe.Pointer(&p.made))
		switch o.kind {
		case opTake:
			p.write(&p.message, uintptr(o.message))
			c.Func, c.Args = p.Imrecv, [clib.MaxArgs]uintptr{data, count, kind, uintptr(unsafe.Pointer(&p.message)), made}
		case opRecv:
			c.Func, c.Args = p.Irecv, [clib.MaxArgs]uintptr{data, count, kind, arg(o.peer), arg(o.tag), p.comm, made}
		default:
			c.Func, c.Args = p.Isend, [clib.MaxArgs]uintptr{data, count, kind, arg(o.peer), arg(o.tag), p.comm, made}
		}
		calls := p.begin[:1]
		if o.inside != 0 {
			p.begin[1] = clib.Call{Func: p.Test, Args: [clib.MaxArgs]uintptr{made, uintptr(unsafe.Pointer(&p.done)), p.statusIgnore}}
			calls = p.begin[:]
		}
		clib.Run(calls, 1, nil)
		if code := int(int32(c.Result)); code != 0 || o.inside == 0 {
			return code
		}
		return int(int32(p.begin[1].Result))
	})
	if code != 0 {
		p.report(Failed, o.peer, o.tag, code, o.len, o.token, 0)
		return
	}
	if p.done != 0 {
		return
	}
	f := inFlight{token: o.token, peer: o.peer, tag: o.tag, kind: o.kind, length: o.len}
	if o.inside != 0 {
		f.page = g
		g.flying++
	}
	p.add(f)
}

func (p *loadedPort) startAll(g *pageHead, limit int) {
	for ; g != nil; g = *(**pageHead)(unsafe.Pointer(&g.next)) {
		for g.started < g.used {
			if p.nev >= limit {
				return
			}
			o := (*portOp)(unsafe.Add(unsafe.Pointer(g), int64(unsafe.Sizeof(pageHead{}))+g.started))
			g.started += o.stride
			p.start(g, o)
		}
	}
}

// end ends the operation i; the caller closes the gap. A small send that went well tells nobody.
func (p *loadedPort) end(i int, status unsafe.Pointer, code int) {
	f := &p.flying[i]
	if f.page != nil {
		f.page.flying--
	}
	if code != 0 {
		p.report(Failed, f.peer, f.tag, code, f.length, f.token, 0)
		return
	}
	if f.token == 0 {
		return
	}
	source, tag, n := f.peer, f.tag, f.length
	if f.kind != opSend {
		var cancelled bool
		source, tag = statusField(status, p.sourceAt), statusField(status, p.tagAt)
		if n, cancelled = p.length(status); cancelled {
			code = -1
		}
	}
	p.report(Done, source, tag, code, n, f.token, 0)
}

// lookForEnds prepares the call that tests the operations on their way. Each that is over may be an event, so no more are tested than
// there is room for.
func (p *loadedPort) lookForEnds(limit int) bool {
	n := min(len(p.flying), limit-p.nev)
	if n <= 0 {
		return false
	}
	p.some = 0
	p.look[1] = clib.Call{Func: p.Testsome, Flag: &p.some, Args: [clib.MaxArgs]uintptr{
		arg(n), uintptr(unsafe.Pointer(&p.requests[0])), uintptr(unsafe.Pointer(&p.some)), uintptr(unsafe.Pointer(&p.indices[0])),
		uintptr(unsafe.Pointer(&p.statuses[0])),
	}}
	return true
}

// test ends the operations that are over, as the prepared call has found them.
func (p *loadedPort) test(limit int) int {
	code := int(int32(p.look[1].Result))
	if p.some == p.undefined || p.some <= 0 {
		// Open MPI returns the error of the first request that has one in the place of MPI_ERR_IN_STATUS.
		if code != 0 && Class(rawClass(code)) != ClassInStatus {
			return p.notice(code, limit)
		}
		return 0
	}
	for k := range int(p.some) {
		status := unsafe.Add(unsafe.Pointer(&p.statuses[0]), uintptr(k)*p.statusSize)
		i, own := int(p.indices[k]), 0
		if code != 0 {
			own = int(statusField(status, p.errorAt))
		}
		p.end(i, status, own)
		p.flying[i].kind = -1
	}
	to := 0
	for from := range p.flying {
		if p.flying[from].kind >= 0 {
			p.move(to, from)
			to++
		}
	}
	p.cut(to)
	return 0
}

// cut leaves n operations.
func (p *loadedPort) cut(n int) {
	clear(p.flying[n:])
	p.flying = p.flying[:n]
}

// lookForMessage prepares the call that looks for a message: in the receive that is matched first, or by a probe.
func (p *loadedPort) lookForMessage() bool {
	c := &p.look[0]
	p.found = 0
	c.Flag = &p.found
	found, status := uintptr(unsafe.Pointer(&p.found)), uintptr(unsafe.Pointer(&p.status))
	if len(p.slots) == 0 {
		c.Func, c.Args = p.Iprobe, [clib.MaxArgs]uintptr{arg(p.anySource), arg(p.tag), p.comm, found, status}
		return true
	}
	if p.posted == 0 {
		return false
	}
	*(*int32)(unsafe.Add(unsafe.Pointer(&p.status), p.sourceAt)) = -1
	c.Func, c.Args = p.Test, [clib.MaxArgs]uintptr{uintptr(unsafe.Pointer(&p.slots[p.next].request)), found, status}
	return true
}

// receive takes the message that the prepared call has found, and those behind it.
func (p *loadedPort) receive(limit int) int {
	for {
		more, code := p.collect(limit)
		if len(p.slots) == 0 {
			more, code = p.take(limit)
		}
		if !more || p.nev >= limit || !p.lookForMessage() {
			return code
		}
		clib.Run(p.look[:1], 1, nil)
	}
}

// take receives a message that a probe has found. Nobody else receives on this communicator and tag, so what the probe saw is what is
// received.
func (p *loadedPort) take(limit int) (more bool, code int) {
	if code = int(int32(p.look[0].Result)); code != 0 {
		return false, p.notice(code, limit)
	}
	if p.found == 0 {
		return false, 0
	}
	status := unsafe.Pointer(&p.status)
	n, _ := p.length(status)
	source, tag := statusField(status, p.sourceAt), statusField(status, p.tagAt)
	if n <= p.eager {
		if p.arenaUsed+n > p.arenaCap {
			return false, 0
		}
		to := uintptr(unsafe.Add(p.arena, p.arenaUsed))
		if code = clib.Do(p.Recv, to, uintptr(n), p.types[0], arg(source), arg(tag), p.comm, p.statusIgnore); code != 0 {
			return false, code
		}
		p.arenaUsed += (n + 15) &^ 15
		p.report(Received, source, tag, 0, n, 0, uint64(to))
		return true, 0
	}
	p.write(&p.message, p.messageNull)
	code = clib.Do(p.Improbe, arg(source), arg(tag), p.comm, uintptr(unsafe.Pointer(&p.found)), uintptr(unsafe.Pointer(&p.message)),
		uintptr(status))
	if code != 0 || p.found == 0 {
		return false, code
	}
	p.report(Arrived, source, tag, 0, n, 0, uint64(p.read(&p.message)))
	return true, 0
}

// post posts a receive in every slot that is free, those included whose message the last poll reported.
func (p *loadedPort) post(limit int) int {
	for p.posted < len(p.slots) && !p.closing {
		s := &p.slots[(p.next+p.posted)%len(p.slots)]
		p.post1[0] = clib.Call{Func: p.Irecv, Args: [clib.MaxArgs]uintptr{
			uintptr(s.data), uintptr(p.longest), p.types[0], arg(p.anySource), arg(p.tag), p.comm, uintptr(unsafe.Pointer(&s.request)),
		}}
		clib.Run(p.post1[:], 1, nil)
		if code := int(int32(p.post1[0].Result)); code != 0 {
			return p.notice(code, limit) // the next poll posts it
		}
		p.posted++
	}
	return 0
}

// collect reports what the receive that is matched first has got. A message that was too long is an error of its sender.
func (p *loadedPort) collect(limit int) (more bool, code int) {
	if len(p.slots) == 0 {
		return false, 0
	}
	code = int(int32(p.look[0].Result))
	if code == 0 && p.found == 0 {
		return false, 0
	}
	s, status := &p.slots[p.next], unsafe.Pointer(&p.status)
	if code != 0 {
		over := p.bound.read(&s.request) == p.requestNull // not where it waits on, for those that live
		if Class(rawClass(code)) != ClassTruncate && !(over && p.isLoss(code)) {
			return false, p.notice(code, limit)
		}
	}
	p.next = (p.next + 1) % len(p.slots)
	p.posted--
	if code != 0 {
		p.report(Failed, statusField(status, p.sourceAt), int32(p.tag), code, 0, 0, 0)
		return true, 0
	}
	n, cancelled := p.length(status)
	if !cancelled && !p.closing {
		p.report(Received, statusField(status, p.sourceAt), statusField(status, p.tagAt), 0, n, 0, uint64(uintptr(s.data)))
	}
	return true, 0
}

func rawPortPoll(p rawPort, first *pageHead, events int, spin time.Duration) int {
	limit := min(events, len(p.events))
	p.nev, p.arenaUsed = 0, 0
	code := p.post(limit)
	if p.untold {
		p.mourn(limit)
	}
	p.startAll(first, limit)
	var begin time.Time
	for turns := 1; ; turns = rounds {
		if code == 0 && p.nev < limit {
			code = p.turn(limit, turns)
		}
		if code != 0 {
			if p.nev < limit {
				p.report(Failed, -1, int32(p.tag), code, 0, 0, 0)
			}
			return p.nev
		}
		if p.nev > 0 || spin <= 0 || p.kick.Load() != 0 {
			return p.nev
		}
		if begin.IsZero() {
			begin = time.Now()
		} else if time.Since(begin) >= spin {
			return p.nev
		}
	}
}

// turn looks for messages and for operations that are over, the given number of times or until there is something.
func (p *loadedPort) turn(limit, times int) int {
	message, ends := p.lookForMessage(), p.lookForEnds(limit)
	calls := p.look[:]
	if !ends {
		calls = calls[:1]
	}
	if !message {
		calls = calls[1:]
	}
	if !message && !ends {
		return 0
	}
	clib.Run(calls, times, (*int32)(unsafe.Pointer(&p.kick)))
	if message && (p.found != 0 || int32(p.look[0].Result) != 0) {
		if code := p.receive(limit); code != 0 {
			return code
		}
		// The other call has not been made in this round.
		if ends = p.lookForEnds(limit); ends {
			clib.Run(p.look[1:], 1, nil)
		}
	}
	if ends && (p.some != 0 || int32(p.look[1].Result) != 0) {
		return p.test(limit)
	}
	return 0
}

// rawPortAbandon stops waiting for a peer that is gone. Its requests are neither completed nor freed: either may hang or kill.
func rawPortAbandon(p rawPort, peer, events int) int {
	p.nev = 0
	if peer >= 0 && peer < p.peers {
		p.lost[peer] = true
	}
	to := 0
	for from := range p.flying {
		f := &p.flying[from]
		if int(f.peer) == peer && p.nev < events && p.nev < len(p.events) {
			if f.page != nil {
				f.page.lost++
			}
			p.report(Failed, f.peer, f.tag, 0, f.length, f.token, 0)
			continue
		}
		p.move(to, from)
		to++
	}
	p.cut(to)
	return p.nev
}

// rawPortWithdraw posts no more receives, and asks for the end of those that wait, which a later poll sees.
func rawPortWithdraw(p rawPort) {
	p.closing = true
	for i := range p.posted {
		clib.Do(p.Cancel, uintptr(unsafe.Pointer(&p.slots[(p.next+i)%len(p.slots)].request)))
	}
}

// rawPortCancel asks for the end of every other receive; they end as usual, in a later poll.
func rawPortCancel(p rawPort) {
	for i := range p.flying {
		if p.flying[i].kind != opSend {
			clib.Do(p.Cancel, uintptr(p.request(i)))
		}
	}
}
