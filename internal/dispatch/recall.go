package dispatch

// comeBack gives all units of w back that have not begun: the master wants one of them no more and has said so in the journal, which
// the runner reads before it begins a unit. Nothing of the batch runs any more.
func (s *server) comeBack(w *work) {
	w.stop = true
	s.journal.Picked(w.seq) // if this worker ends, no unit ran
	s.mu.Lock()
	from, ok := s.proto.recall(w.seq)
	for !ok {
		s.freed.Wait()
		from, ok = s.proto.recall(w.seq)
	}
	s.mu.Unlock()
	if from > 0 {
		s.out.flushMarked()
		s.handBack(from)
	}
}

// handBack tells the master which units come back, as the protocol has decided. It is called without the lock: a sender finds out that
// the master is gone, and may have to wait.
func (s *server) handBack(from uint64) {
	s.send(kindHandback, from)
	s.mu.Lock()
	s.proto.returned()
	s.freed.Broadcast()
	s.mu.Unlock()
}
