package mpilink

import "context"

// MaxCallers is how many masters may wait at once.
const MaxCallers = maxCallers

// Desk is where masters call, without the MPI behind it.
type Desk struct{ desk *desk }

// OpenDesk leaves word at a place.
func OpenDesk(ctx context.Context, place Place) (Desk, error) {
	s := &Service{Place: place, Keep: true}
	d, err := s.open(ctx)
	return Desk{d}, err
}

// Next returns who is the next master, and its line's end.
func (d Desk) Next(ctx context.Context) (name string, end func() error, err error) {
	c, err := d.desk.next(ctx)
	if err != nil {
		return "", nil, err
	}
	return c.name(), func() error {
		d.desk.serving.Store(nil)
		return c.Close()
	}, nil
}

// Address is where it listens.
func (d Desk) Address() string { return d.desk.listener.Addr().String() }

// Close turns away who still waits.
func (d Desk) Close() { d.desk.close() }

// WhileAnotherLooks calls f while somebody else has the turn to look for messages, and tells whether that one believes
// afterwards that others look in its place.
func (h *Hub) WhileAnotherLooks(f func()) (relaxed bool) {
	h.turn.Lock()
	defer h.turn.Unlock()
	f()
	return h.relaxed.Load()
}
