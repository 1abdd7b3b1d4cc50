package trace

import (
	"sync"
	"time"
)

// queue is what one reader of a pool's events, the file or a hook, has not taken yet. Its memory is bounded: a reader that is slow costs details.
type queue struct {
	mu     sync.Mutex
	events []Event
	spare  []Event
	over   thinner // units beyond mostPending
	missed int     // other events that are lost
	ended  bool
	wake   chan struct{}
	read   chan struct{} // closed when the reader has taken the last event, or takes no more
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1), read: make(chan struct{})} }

// add copies an event and does nothing else.
func (q *queue) add(e *Event) {
	q.mu.Lock()
	n := len(q.events)
	switch {
	case q.ended:
	case n < mostPending, e.Kind != UnitsRan && n < mostPending+mostUnsaid, e.Kind == PoolEnds: // the last is never missing
		q.events = append(q.events, *e)
	case e.Kind == UnitsRan:
		q.over.add(e, int(^uint(0)>>1))
	default:
		q.missed++
	}
	q.mu.Unlock()
	if n == mostPending/2 {
		q.rouse()
	}
}

// end has nothing added any more, and the reader called.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.rouse()
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be read, and whether that is the end. The lists are the caller's until it gives the first back.
func (q *queue) take() (events []Event, over thinner, missed int, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, q.events, q.spare = q.events, q.spare, nil
	over, missed, ended = q.over, q.missed, q.ended
	q.over, q.missed = thinner{}, 0
	return events, over, missed, ended
}

func (q *queue) giveBack(events []Event) {
	clear(events)
	q.mu.Lock()
	q.spare = events[:0]
	q.mu.Unlock()
}

// serve is the goroutine of a reader: it calls round again and again, until that says that nothing more comes.
func (q *queue) serve(round func() (ended bool)) {
	defer close(q.read)
	tick := time.NewTicker(writePause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.wake:
		}
		if round() {
			return
		}
	}
}
