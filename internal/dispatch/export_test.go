package dispatch

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
