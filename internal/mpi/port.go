package mpi

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// PortOptions are the choices of NewPort. The zero value is right for a master and for a worker.
type PortOptions struct {
	Tag    int // the one tag whose messages Poll takes; other tags are free for RecvFrom and Send
	Eager  int // messages up to this many bytes are copied and received on the spot; 64 KiB unless set
	Arena  int // room for what one Poll receives; 1 MiB unless set, never less than Eager
	Events int // most events of one Poll; 256 unless set

	// Posted is how many receives wait for messages with the port's tag, none of which may be longer than Longest then: such
	// a one is an error of its sender. 0 looks for messages of any length, which takes several times as long.
	//
	// Messages leave the port in the order in which MPI matched them. So a message that MPI sends in two steps, because it is
	// longer than the eager limit of a transport, holds up all that come later until it is there, from whoever they come; and
	// when its sender dies in between, they never come. Eager, the constant, is below these limits. Longest is the field Eager
	// unless set.
	Posted, Longest int

	// Stage moves long messages through C memory instead of pinning Go's. It is for fabrics whose registration cache
	// does not notice what Go's allocator does (UCX and libfabric over RDMA); shared memory and TCP do not need it.
	Stage bool
}

// Eager is how long a message may be to leave in one step, before its receiver has asked for it, whatever the transport. The
// lowest of the eager limits at hand is that of Open MPI's shared memory: 4 KiB with MPI's own header.
const Eager = 3 << 10

// EventKind is what happened.
type EventKind int

// The kinds of events.
const (
	Received EventKind = iota // a short message; Data holds it until the next Poll
	Arrived                   // a long message; Message holds it until Take
	Done                      // an operation with a token has ended well
	Failed                    // an operation has ended with Err; small sends have token 0
)

// Event is one thing that happened.
type Event struct {
	Kind    EventKind
	Peer    int // the message's source, or the operation's peer; -1 when unknown
	Tag     int
	Len     int
	Token   uint64
	Data    []byte
	Message *Message
	Err     error
}

// Port moves the messages of one communicator, many in one crossing into C. Send, Join, RecvFrom and Take only queue: Poll
// does the work. All methods may be called together; Polls come one at a time, and one that spins returns early when
// something is queued. Nobody else may receive on the communicator with the port's tag.
type Port struct {
	comm *Comm
	o    PortOptions
	raw  rawPort
	kick *atomic.Int32

	mu       sync.Mutex // guards what follows up to polling
	queued   []*page
	free     []*page
	joined   []joint // of Join, since the last Poll
	joint    []int   // by rank: the place in joined + 1
	ops      map[uint64]*longOp
	next     uint64
	backlog  []Event // what Abandon found, for the next Poll
	inflight int     // long operations queued or under way
	closed   bool

	polling sync.Mutex // held by Poll, Abandon and Close; taken before mu
	flying  []*page
}

// page is a buffer of operations, in memory that Go does not manage.
type page struct{ head *pageHead }

// pageHead begins a page. What follows it, one portOp and its bytes after another, is in it too.
type pageHead struct {
	next                             uintptr
	cap, used, started, flying, lost int64
}

type portOp struct {
	kind, peer, tag, inside int32
	len, stride             int64
	token, ptr, message     uint64
}

type portEvent struct {
	kind, peer, tag, code int32
	len                   int64
	token, ptr            uint64
}

// kinds of portOp.
const (
	opSend int32 = iota
	opRecv
	opTake
)

// longOp is what the Go side keeps about an operation that the library is told of by address.
type longOp struct {
	pin   runtime.Pinner
	buf   []byte
	stage unsafe.Pointer
	recv  bool
	token uint64
}

// lossCode is the code of an event by which the library tells that a rank is lost: no library has a negative one.
const lossCode = -2

// keptPages is how many empty pages are kept.
const keptPages = 8

// ErrPortClosed is the error of a call on a closed port.
var ErrPortClosed = errors.New("mpi: port is closed")

// NewPort opens a port on c, which stays the caller's and must outlive it. Close it.
func NewPort(c *Comm, o PortOptions) (*Port, error) {
	if err := c.begin("NewPort"); err != nil {
		return nil, err
	}
	defer leave()
	if o.Eager <= 0 {
		o.Eager = 64 << 10
	}
	if o.Arena <= 0 {
		o.Arena = 1 << 20
	}
	o.Arena = max(o.Arena, o.Eager)
	if o.Longest <= 0 {
		o.Longest = o.Eager
	}
	if o.Events <= 0 {
		o.Events = 256
	}
	raw, kick := rawPortNew(c.handle, o, c.peers())
	if kick == nil {
		return nil, invalid("NewPort", ClassNoMem, "no memory for a port")
	}
	return &Port{comm: c, o: o, raw: raw, kick: kick, ops: make(map[uint64]*longOp), joint: make([]int, c.peers())}, nil
}

// Wake makes a Poll that spins return at once; it has no effect on later ones.
func (p *Port) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kick.Store(1)
}

// Comm returns the communicator.
func (p *Port) Comm() *Comm { return p.comm }

// Send queues data for dest. Where copied is true the caller may use the memory again at once, and hears of the send only
// if it fails. Otherwise the memory must not be written until an event with the token, which must not be 0.
// Messages to one rank with one tag arrive in order.
func (p *Port) Send(dest, tag int, data []byte, token uint64) (copied bool, err error) {
	if len(data) <= p.o.Eager {
		return true, p.queue(portOp{kind: opSend, peer: int32(dest), tag: int32(tag), inside: 1}, data, nil)
	}
	op := &longOp{buf: data, token: token}
	return false, p.queue(portOp{kind: opSend, peer: int32(dest), tag: int32(tag)}, data, op)
}

// RecvFrom queues a receive into the caller's memory, which must not be touched until an event with the token (not 0).
// The tag must not be the port's own.
func (p *Port) RecvFrom(source, tag int, into []byte, token uint64) error {
	if tag == p.o.Tag || tag < 0 {
		return invalid("MPI_Irecv", ClassTag, "tag %d is what Poll receives", tag)
	}
	op := &longOp{buf: into, recv: true, token: token}
	return p.queue(portOp{kind: opRecv, peer: int32(source), tag: int32(tag)}, into, op)
}

// Take queues the receive of a long message that arrived into the caller's memory, which must not be touched until an
// event with the token (not 0). Every message that arrives must be taken, once.
func (p *Port) Take(m *Message, into []byte, token uint64) error {
	if m.taken.Swap(true) {
		return invalid("MPI_Imrecv", ClassRequest, "the message was received already")
	}
	op := &longOp{buf: into, recv: true, token: token}
	return p.queue(portOp{kind: opTake, peer: int32(m.Source), tag: int32(m.Tag), message: uint64(m.handle)}, into, op)
}

// queue queues one operation, a send behind what was joined for the same rank.
func (p *Port) queue(r portOp, data []byte, op *longOp) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrPortClosed
	}
	if dest := int(r.peer); r.kind == opSend && dest >= 0 && dest < len(p.joint) && p.joint[dest] > 0 {
		if err := p.seal(&p.joined[p.joint[dest]-1]); err != nil {
			return err
		}
	}
	p.kick.Store(1)
	return p.write(r, data, op)
}

// write writes one operation into the last page. Bytes of small sends follow the record. The lock is held.
func (p *Port) write(r portOp, data []byte, op *longOp) error {
	const record = int64(unsafe.Sizeof(portOp{}))
	r.len, r.stride = int64(len(data)), record
	if op == nil {
		r.stride += (r.len + 15) &^ 15
	}
	g := p.room(r.stride)
	if g == nil {
		return invalid("Port", ClassNoMem, "no memory for a page of operations")
	}
	if op != nil {
		if err := p.hold(&r, data, op); err != nil {
			return err
		}
	}
	at := unsafe.Add(unsafe.Pointer(g.head), int64(unsafe.Sizeof(pageHead{}))+g.head.used)
	*(*portOp)(at) = r
	if op == nil {
		copy(unsafe.Slice((*byte)(unsafe.Add(at, record)), len(data)), data)
	}
	g.head.used += r.stride
	return nil
}

// hold gives a long operation memory that C may use after the call, and a number.
func (p *Port) hold(r *portOp, data []byte, op *longOp) error {
	switch {
	case p.o.Stage && len(data) > 0:
		if op.stage = rawStageNew(len(data)); op.stage == nil {
			return invalid("Port", ClassNoMem, "no memory to stage %d bytes", len(data))
		}
		if !op.recv {
			copy(unsafe.Slice((*byte)(op.stage), len(data)), data)
		}
		r.ptr = uint64(uintptr(op.stage))
	default:
		r.ptr = uint64(hold(&op.pin, data))
	}
	p.next++
	r.token = p.next
	p.ops[r.token] = op
	p.inflight++
	return nil
}

// room returns a page with n bytes left.
func (p *Port) room(n int64) *page {
	if k := len(p.queued); k > 0 {
		if g := p.queued[k-1]; g.head.used+n <= g.head.cap {
			return g
		}
	}
	var g *page
	if k := len(p.free); k > 0 && p.free[k-1].head.cap >= n {
		g, p.free = p.free[k-1], p.free[:k-1]
		g.head.used, g.head.started = 0, 0
	} else {
		head := rawPageNew(max(256<<10, n))
		if head == nil {
			return nil
		}
		g = &page{head}
	}
	p.queued = append(p.queued, g)
	return g
}

// Poll starts what is queued, tests what is under way, takes what has come, and returns when anything has happened,
// something is queued meanwhile, or spin is over; it uses a core until then. Data in the events lives until the next
// Poll. events must have room for one. An error is about the communicator as a whole.
func (p *Port) Poll(spin time.Duration, events []Event) (int, error) {
	if len(events) == 0 {
		return 0, invalid("Port.Poll", ClassArg, "no room for events")
	}
	p.polling.Lock()
	defer p.polling.Unlock()
	return p.poll(spin, events)
}

func (p *Port) poll(spin time.Duration, events []Event) (int, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return 0, ErrPortClosed
	}
	n := copy(events, p.backlog)
	if p.backlog = p.backlog[n:]; len(p.backlog) == 0 {
		p.backlog = nil
	}
	if err := p.sealAll(); err != nil {
		p.mu.Unlock()
		return n, err
	}
	p.flying = append(p.flying, p.queued...)
	clear(p.queued)
	p.queued = p.queued[:0]
	p.kick.Store(0)
	p.mu.Unlock()
	if n == len(events) {
		return n, nil
	}
	if n > 0 {
		spin = 0
	}
	var first *pageHead
	for i, g := range p.flying {
		g.head.next = 0
		if i == 0 {
			first = g.head
		} else {
			p.flying[i-1].head.next = uintptr(unsafe.Pointer(g.head))
		}
	}
	if err := enter(); err != nil {
		return n, err
	}
	if runtimeState.serial.Load() {
		spin = 0
	}
	got := rawPortPoll(p.raw, first, min(len(events)-n, p.o.Events), spin)
	leave()
	if got == 0 && len(p.flying) == 0 {
		return n, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recycle()
	for i := range got {
		e := rawPortEvent(p.raw, i)
		if e.kind == int32(Failed) && e.peer < 0 && e.token == 0 {
			return n, failure("MPI_Iprobe", int(e.code))
		}
		p.translate(e, &events[n])
		n++
	}
	return n, nil
}

// recycle takes back the pages that nothing refers to any more.
func (p *Port) recycle() {
	left := p.flying[:0]
	for _, g := range p.flying {
		h := g.head
		switch {
		case h.started < h.used || h.flying > h.lost:
			left = append(left, g)
		case h.lost > 0:
			keep(g)
		case len(p.free) < keptPages:
			p.free = append(p.free, g)
		default:
			rawPageFree(h)
		}
	}
	clear(p.flying[len(left):])
	p.flying = left
}

// translate turns an event of the port into one for the caller, and gives memory back.
func (p *Port) translate(e *portEvent, to *Event) {
	*to = Event{Kind: EventKind(e.kind), Peer: int(e.peer), Tag: int(e.tag), Len: int(e.len)}
	switch to.Kind {
	case Received:
		to.Data = rawPortData(p.raw, e)
	case Arrived:
		to.Message = &Message{Status: Status{Source: to.Peer, Tag: to.Tag, Len: to.Len}, handle: uintptr(e.ptr)}
	case Done:
		to.Token = p.release(e.token, to.Len)
		if e.code < 0 {
			to.Kind, to.Err = Failed, ErrCancelled
		}
	case Failed:
		switch e.code {
		case lossCode:
			to.Err = ErrEnded
		case 0:
			to.Err = ErrLost
		default:
			to.Err = failure("MPI_Test", int(e.code))
		}
		to.Token = p.release(e.token, 0)
	}
}

// release ends a long operation of which n bytes are good, and returns its token.
func (p *Port) release(id uint64, n int) uint64 {
	op := p.ops[id]
	if op == nil {
		return 0
	}
	delete(p.ops, id)
	p.inflight--
	if op.stage != nil {
		if op.recv {
			copy(op.buf, unsafe.Slice((*byte)(op.stage), min(n, len(op.buf))))
		}
		rawStageFree(op.stage)
	} else {
		op.pin.Unpin()
	}
	return op.token
}

// Abandon gives up a peer: what is queued or under way with it ends as Failed with ErrLost in the next Poll, and what
// comes later fails at once. Memory that the library may still use stays pinned until the process ends. Call MarkLost too.
func (p *Port) Abandon(peer int) error {
	p.Wake()
	p.polling.Lock()
	defer p.polling.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrPortClosed
	}
	if err := enter(); err != nil {
		return err
	}
	defer leave()
	for {
		n := rawPortAbandon(p.raw, peer, p.o.Events)
		for i := range n {
			e := rawPortEvent(p.raw, i)
			ev := Event{Kind: Failed, Peer: int(e.peer), Tag: int(e.tag), Err: ErrLost}
			if op := p.ops[e.token]; op != nil {
				ev.Token = op.token
				delete(p.ops, e.token)
				p.inflight--
				keep(op)
			}
			p.backlog = append(p.backlog, ev)
		}
		if n < p.o.Events {
			return nil
		}
	}
}

// Idle tells whether nothing is queued and nothing is under way.
func (p *Port) Idle() bool {
	p.polling.Lock()
	defer p.polling.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || p.idle()
}

func (p *Port) idle() bool {
	return len(p.joined) == 0 && len(p.queued) == 0 && len(p.flying) == 0 && p.inflight == 0
}

// Close sends what is queued, cancels the receives, and releases everything. It blocks until the sends have left, or
// until ctx ends: then what is still under way is kept until the process ends, and the error says so. Messages that come meanwhile are
// dropped. A second call does nothing.
func (p *Port) Close(ctx context.Context) error {
	p.Wake()
	p.polling.Lock()
	defer p.polling.Unlock()
	events := make([]Event, p.o.Events)
	wait := newPatience(ctx)
	defer wait.stop()
	stop := []func(rawPort){rawPortCancel, rawPortWithdraw} // in turn: a peer that closes its port too waits until it is received from
	for {
		n, err := p.poll(wait.spin(), events)
		if errors.Is(err, ErrPortClosed) {
			return nil
		}
		if err != nil {
			return p.drop(err)
		}
		for _, e := range events[:n] {
			if e.Kind == Arrived {
				_ = p.Take(e.Message, make([]byte, e.Len), 1)
			}
		}
		p.mu.Lock()
		idle := p.idle()
		p.mu.Unlock()
		switch {
		case len(stop) == 2 || idle && len(stop) == 1:
			if err := enter(); err != nil {
				return p.drop(err)
			}
			stop[0](p.raw)
			leave()
			stop = stop[1:]
			n++ // look at once
		case idle && rawPortPosted(p.raw) == 0:
			return p.drop(nil)
		}
		if n == 0 && !wait.pause() {
			return p.drop(context.Cause(ctx))
		}
	}
}

// drop ends the port: frees its memory, or keeps it where operations are still under way.
func (p *Port) drop(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, g := range p.free {
		rawPageFree(g.head)
	}
	p.free = nil
	if !p.idle() || rawPortPosted(p.raw) > 0 {
		keep(p)
		return err
	}
	rawPortFree(p.raw)
	return err
}
