package slots

import (
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
)

// journalSize is the size of a slot's journal where the member has none for it.
const journalSize = 64 << 10

// Serve runs a member's slots: serve, once for each and all together. It returns when all have returned, or when one has failed, with
// its error; the others go on then, and the process is expected to end.
func Serve(ep link.Endpoint, n int, serve func(link.Endpoint) error) error {
	m := &process{ep: ep}
	m.open.Store(int32(n))
	m.slots = make([]*slot, n)
	var journals []*link.Journal
	if j, ok := ep.(link.Journals); ok {
		journals = j.Journals()
	}
	for i := range m.slots {
		s := &slot{process: m, index: i, wake: make(chan struct{}, 1)}
		if i < len(journals) {
			s.journal = journals[i]
		} else {
			words := make([]uint64, journalSize/8)
			s.journal = link.NewJournal(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), journalSize))
		}
		m.slots[i] = s
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		m.receive()
	}()
	results := make(chan error, n)
	for _, s := range m.slots {
		go func() { results <- serve(s) }()
	}
	for range n {
		if err := <-results; err != nil {
			return err
		}
	}
	if m.open.Load() == 0 {
		<-received
	}
	return nil
}

// process is what the slots of a member have in common.
type process struct {
	ep      link.Endpoint
	slots   []*slot
	open    atomic.Int32 // slots that have not been closed
	settled sync.Once
}

// receive hands frames to the slots, to the end of the link.
func (m *process) receive() {
	for {
		f, err := m.ep.Recv()
		if err == nil {
			if i, ok := addressee(&f, len(m.slots)); ok {
				m.slots[i].push(f)
				continue
			}
			err = errAddress
		}
		for _, s := range m.slots {
			s.end(err)
		}
		return
	}
}

// slot is a worker's end of the link.
type slot struct {
	*process
	index   int
	journal *link.Journal
	wake    chan struct{} // a token when there is something new

	mu     sync.Mutex
	queue  []link.Frame
	head   int
	err    error // nothing comes after what is queued
	closed bool
}

func (s *slot) push(f link.Frame) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		link.PutBuffer(f.Stream)
		return
	}
	if s.head > 0 && s.head >= len(s.queue)/2 {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, f)
	s.mu.Unlock()
	s.tell()
}

func (s *slot) end(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.tell()
}

func (s *slot) tell() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Recv implements link.Endpoint.
func (s *slot) Recv() (link.Frame, error) {
	for {
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return link.Frame{}, io.EOF
		case s.head < len(s.queue):
			f := s.queue[s.head]
			s.queue[s.head] = link.Frame{}
			s.head++
			s.mu.Unlock()
			return f, nil
		case s.err != nil:
			defer s.mu.Unlock()
			return link.Frame{}, s.err
		}
		s.mu.Unlock()
		<-s.wake
	}
}

// Send implements link.Endpoint.
func (s *slot) Send(f link.Frame) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		link.PutBuffer(f.Stream)
		return io.ErrClosedPipe
	}
	address(&f, s.index)
	return s.ep.Send(f)
}

// Journal implements link.Endpoint.
func (s *slot) Journal() *link.Journal { return s.journal }

// Close says that this slot ends on purpose. The last one closes the member's end.
func (s *slot) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed, s.queue, s.head = true, nil, 0
	s.mu.Unlock()
	if was {
		return nil
	}
	s.tell()
	if s.open.Add(-1) == 0 {
		return s.ep.Close()
	}
	return nil
}

// Inherit implements link.Heir: the slots share what their process has.
func (s *slot) Inherit() (segments [][]byte, copied, err error) {
	if ep, ok := s.ep.(link.Heir); ok {
		return ep.Inherit()
	}
	return nil, nil, nil
}

// Settled implements link.Settler, once for the member.
func (s *slot) Settled() {
	if ep, ok := s.ep.(link.Settler); ok {
		s.settled.Do(ep.Settled)
	}
}
