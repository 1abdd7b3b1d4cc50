package dispatch

import "time"

// RoomForPieces is how long the list of what a worker was given has been.
func (m *Master) RoomForPieces(slot int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cap(m.workers[slot].out)
}

// Empty has a master that was closed let go of everything, for a timer that was stopped may be the runtime's for a while, and lead to it.
func (m *Master) Empty() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers, m.spare, m.queue, m.idle, m.hosts, m.unknown, m.addressed = nil, lists{}, queue{}, nil, nil, nil, addressees{}
}

// SetupSize is how large a set-up is.
func (c *Config) SetupSize() uint64 { return c.setupSize() }

// NewPatience is for a start of that limit, which may be extended by so much.
func NewPatience(limit, more time.Duration) *patience {
	return &patience{limit: limit, left: limit, more: more}
}

// Left, Next and Look are patience's own.
func (p *patience) Left() time.Duration                    { return p.left }
func (p *patience) Next() time.Duration                    { return p.next() }
func (p *patience) Look(after time.Duration, moved uint64) { p.look(after, moved) }

// TracedJobs is how many jobs a recording is told of later, and how many the memory for that has had at once.
func (m *Master) TracedJobs() (now, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.trace.jobs), m.trace.most
}
