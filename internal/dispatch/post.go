package dispatch

import (
	"context"
	"log/slog"
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

// post is what waits to be done to one slot.
type post struct {
	mu      sync.Mutex
	orders  []order
	spare   []order // the memory of what was done last
	sending bool    // a goroutine is at it
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

// order puts an order into a worker's post. The lock is held.
func (m *Master) order(w *worker, o order) {
	w.post.mu.Lock()
	w.post.orders = append(w.post.orders, o)
	w.post.mu.Unlock()
	switch {
	case m.addressed.one == nil:
		m.addressed.one = w
	case m.addressed.one != w:
		m.addressed.more = append(m.addressed.more, w)
	}
}

// addressees are the workers for whom there is something in the post since the lock was taken. Mostly it is one.
type addressees struct {
	one  *worker
	more []*worker
}

// unlock releases the scheduler's lock, and then does what was decided under it.
func (m *Master) unlock() {
	to, remarks := m.addressed, m.remarks
	m.addressed, m.remarks = addressees{}, nil
	attend := m.attender != nil && m.attend()
	m.mu.Unlock()
	if to.one != nil {
		to.one.post.deliver(m.group, to.one.slot)
		for _, w := range to.more {
			w.post.deliver(m.group, w.slot)
		}
	}
	if attend {
		m.tellAttender()
	}
	for _, r := range remarks {
		m.cfg.Log.Log(context.Background(), r.level, r.text, r.args...)
	}
}

// remark is something to be logged.
type remark struct {
	level slog.Level
	text  string
	args  []any
}

// remark has something logged once the lock is free.
func (m *Master) remark(level slog.Level, text string, args ...any) {
	m.remarks = append(m.remarks, remark{level, text, args})
}

// deliver does what is in the post, unless another goroutine is at it, which then does this too.
func (p *post) deliver(g link.Group, slot int) {
	p.mu.Lock()
	if p.sending || len(p.orders) == 0 {
		p.mu.Unlock()
		return
	}
	p.sending = true
	p.goOn(g, slot)
}

// goOn is deliver for the goroutine that is at it. It holds the post's lock, and releases it.
func (p *post) goOn(g link.Group, slot int) {
	for round := 0; len(p.orders) > 0; round++ {
		if round == mostRounds {
			p.mu.Unlock()
			go func() {
				p.mu.Lock()
				p.goOn(g, slot)
			}()
			return
		}
		orders := p.orders
		p.orders, p.spare = p.spare[:0], nil
		p.mu.Unlock()
		for i := range orders {
			orders[i].carryOut(g, slot)
		}
		clear(orders)
		p.mu.Lock()
		p.spare = orders[:0]
	}
	p.sending = false
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
		w.post.flush(m.group, w.slot)
	}
}

// flush returns when everything that is in the post by now has been done.
func (p *post) flush(g link.Group, slot int) {
	p.deliver(g, slot)
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
		whole = make([]byte, 0, size)
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
