package dispatch

import (
	"math"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
)

// loadRate is how many bytes of its set-up a worker is given a second for, beyond the limit of a start: for their way, and for decoding
// them.
const loadRate = 16 << 20

// leastLoad is from when on that counts.
const leastLoad = 1 << 20

// startLooks is how often in a start's limit it is looked at whether bytes have moved.
const startLooks = 4

// patience is how long a worker may take until it is ready. A large set-up has time for its size; and as long as bytes move the
// limit begins anew, for others may have to be served first, but no longer than it takes to serve all.
type patience struct {
	limit time.Duration // of a start, with the time for the size
	left  time.Duration
	more  time.Duration // by how much it may be extended
	moved uint64        // what the group told when it was looked at last
}

func (m *Master) patience() patience {
	limit, load := m.cfg.Start, m.load
	if load < leastLoad {
		return patience{limit: limit, left: limit}
	}
	size := timeFor(float64(load))
	if limit < math.MaxInt64-size {
		limit += size
	}
	p := patience{limit: limit, left: limit}
	if m.mover != nil {
		p.more = timeFor(float64(load-m.cfg.SetupLoad) * float64(m.lending.size))
	}
	return p
}

// setupSize is how large a set-up is, whatever way it takes.
func (c *Config) setupSize() uint64 {
	n := uint64(len(c.Setup)) + c.SetupLoad
	for _, s := range c.SetupSegments {
		n += uint64(len(s))
	}
	return n
}

// timeFor is at most a century.
func timeFor(bytes float64) time.Duration {
	return time.Duration(min(bytes/loadRate, 100*365*24*3600) * float64(time.Second))
}

// look takes what has moved in a time.
func (p *patience) look(after time.Duration, moved uint64) {
	p.left -= after
	if moved != p.moved {
		more := min(p.limit-p.left, p.more)
		p.moved, p.left, p.more = moved, p.left+more, p.more-more
	}
}

// next is when to look again.
func (p *patience) next() time.Duration {
	if p.more > 0 {
		return min(p.left, max(p.limit/startLooks, time.Millisecond))
	}
	return p.left
}

// awaitReady ends a worker that is not ready in time. The lock is held.
func (m *Master) awaitReady(w *worker, p patience) {
	next := p.next()
	var timer *awake.Timer
	timer = awake.AfterFunc(next, func() {
		if p.more > 0 {
			p.look(next, m.mover.Moved(w.slot))
		} else {
			p.left -= next
		}
		m.mu.Lock()
		defer m.unlock()
		switch {
		case w.timer != timer || w.state != starting:
		case p.left <= 0:
			m.kill(w, m.tooSlow(w, p.limit))
		default:
			m.awaitReady(w, p)
		}
	})
	w.timer = timer
}
