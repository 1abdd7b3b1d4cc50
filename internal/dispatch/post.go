package dispatch

import (
	"context"
	"sync"

	"github.com/rankpool/rankpool/internal/link"
)

// What the scheduler wants of its group leaves after its lock was released: a Send, a Start or a Kill makes system calls, and
// whoever else needs the lock would wait for them. Under the lock an order is put into the worker's post, in the order of the
// decisions; unlock has the posts emptied, one goroutine at a time each.

// mostRounds is how often one goroutine goes on with what others have put into a post meanwhile. Then another one does: the
// first may have a deadline of its own.
const mostRounds = 4

// smallInsert is the size up to which bytes are copied into a frame under the lock. Larger ones are only referred to, and copied
// when the frame leaves.
const smallInsert = 256

// order is one thing to do to a slot of the group.
type order struct {
	verb    verb
	frame   link.Frame
	inserts []insert // what belongs into the frame's stream
	cause   error    // of a kill
}

type verb uint8

const (
	sendFrame verb = iota
	startSlot
	killWorker
)

// insert is bytes that belong into a stream at an offset, counted without the inserts before it.
type insert struct {
	at int
	b  []byte
}

// post is what waits to be done to one slot. Mostly that is one order, which needs no memory here: whoever was the first to order something
// carries it out, and then what others have ordered meanwhile.
type post struct {
	mu      sync.Mutex
	sending bool    // a goroutine is at it, or will be as soon as it has released the scheduler's lock
	orders  []order // what was ordered meanwhile
	empty   chan struct{}
}

// send has a frame sent to a worker once the lock is free. The stream is given away.
func (m *Master) send(w *worker, stream []byte, inserts ...insert) {
	m.order(w, order{frame: link.Frame{Stream: stream}, inserts: inserts})
}

// recall has a worker begin none of n units any more, where that is a store into memory. The lock is held, so the worker is the one that
// was sent these units.
func (m *Master) recall(w *worker, first, n uint64) {
	if m.recaller != nil {
		m.recaller.Recall(w.slot, first, n)
	}
}

// kill has a worker ended once the lock is free.
func (m *Master) kill(w *worker, cause error) { m.order(w, order{verb: killWorker, cause: cause}) }

// order has something done to a worker's slot once the lock is free. The lock is held.
func (m *Master) order(w *worker, o order) {
	p := &w.post
	p.mu.Lock()
	if p.sending {
		p.orders = append(p.orders, o)
		p.mu.Unlock()
		return
	}
	p.sending = true
	p.mu.Unlock()
	if m.addressed.one.to == nil {
		m.addressed.one = addressed{w, o}
	} else {
		m.addressed.more = append(m.addressed.more, addressed{w, o})
	}
}

// addressed is what whoever holds the lock has to do to a slot.
type addressed struct {
	to    *worker
	order order
}

// addressees are all of that since the lock was taken. Mostly it is one.
type addressees struct {
	one  addressed
	more []addressed
}

// unlock releases the scheduler's lock, and then does what was decided under it.
func (m *Master) unlock() {
	one, more, remarks := m.addressed.one, m.addressed.more, m.remarks
	if one.to != nil {
		m.addressed = addressees{}
	}
	m.remarks = nil
	attend := m.attender != nil && m.attend()
	m.mu.Unlock()
	if one.to != nil {
		one.carryOut(m.group)
		for i := range more {
			more[i].carryOut(m.group)
		}
	}
	if attend {
		m.tellAttender()
	}
	for _, r := range remarks {
		m.cfg.Log.Log(context.Background(), r.level, r.text, r.args...)
	}
}

// carryOut does what was ordered, and then what is in the post.
func (a *addressed) carryOut(g link.Group) {
	a.order.carryOut(g, a.to.slot)
	a.to.post.mu.Lock()
	a.to.post.goOn(g, a.to.slot, 1)
}

// goOn does what is in the post, for the goroutine that is at it and has done so many rounds. It holds the post's lock, and releases it.
func (p *post) goOn(g link.Group, slot, round int) {
	for spare := []order(nil); len(p.orders) > 0; round++ {
		if round == mostRounds {
			p.mu.Unlock()
			go func() {
				p.mu.Lock()
				p.goOn(g, slot, 0)
			}()
			return
		}
		orders := p.orders
		p.orders = spare
		p.mu.Unlock()
		for i := range orders {
			orders[i].carryOut(g, slot)
		}
		clear(orders)
		p.mu.Lock()
		spare = orders[:0]
	}
	p.sending, p.orders = false, nil
	if p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
	p.mu.Unlock()
}

// Flush returns when the group has been given everything that was decided by now, by whatever goroutine. It blocks for as long as the
// group's calls do.
func (m *Master) Flush() {
	m.mu.Lock()
	workers := m.workers
	m.unlock()
	for _, w := range workers {
		w.post.flush()
	}
}

// flush returns when everything that is in the post by now has been done.
func (p *post) flush() {
	p.mu.Lock()
	if !p.sending {
		p.mu.Unlock()
		return
	}
	if p.empty == nil {
		p.empty = make(chan struct{})
	}
	empty := p.empty
	p.mu.Unlock()
	<-empty
}

func (o *order) carryOut(g link.Group, slot int) {
	switch o.verb {
	case startSlot:
		g.Start(slot)
	case killWorker:
		g.Kill(slot, o.cause)
	default:
		o.frame.Stream = withInserts(o.frame.Stream, o.inserts)
		g.Send(slot, o.frame)
	}
}

// withInserts returns the stream with the inserts in their places.
func withInserts(stream []byte, inserts []insert) []byte {
	switch len(inserts) {
	case 0:
		return stream
	case 1:
		if inserts[0].at == len(stream) {
			return append(stream, inserts[0].b...)
		}
	}
	size := len(stream)
	for _, i := range inserts {
		size += len(i.b)
	}
	whole := link.GetBuffer()
	if cap(whole) < size {
		whole = make([]byte, 0, size+8) // a group may add to it
	}
	from := 0
	for _, i := range inserts {
		whole = append(append(whole, stream[from:i.at]...), i.b...)
		from = i.at
	}
	whole = append(whole, stream[from:]...)
	link.PutBuffer(stream)
	return whole
}

// attend notes whether frames may come, for a group that has to look for them. It tells whether that has changed. The lock is
// held.
func (m *Master) attend() (changed bool) {
	on := m.flying > 0 || !m.isBooted || m.leaving
	return m.attending.Swap(on) != on
}

// tellAttender tells the group what attend has noted last.
func (m *Master) tellAttender() {
	m.telling.Lock()
	defer m.telling.Unlock()
	if on := m.attending.Load(); on != m.told {
		m.told = on
		m.attender.Attend(on)
	}
}
