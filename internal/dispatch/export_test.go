package dispatch

// RoomForPieces is how long the list of what a worker was given has been.
func (m *Master) RoomForPieces(slot int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cap(m.workers[slot].out)
}
