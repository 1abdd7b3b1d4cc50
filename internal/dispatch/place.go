package dispatch

import "context"

// Place is where a task runs.
type Place struct {
	Index, Count         int // the worker's slot, and how many slots there are
	HostIndex, HostCount int // the same among the workers of its host
	Slot, Slots          int // the same among the workers of its process
	Host                 string
	Pid                  int
	Rank                 int // in its MPI job; -1 where there is none
	Attempt              int // which run of the unit this is, from 1
}

// slotOf is a worker's number in its process, which has so many of all workers; 0 means all.
func slotOf(worker, slots, all int) (slot, count int) {
	if slots == 0 {
		return worker, all
	}
	return worker % slots, slots
}

// slots is how many workers each process has; 0 means all.
func (m *Master) slots() int {
	if m.kind.SharesMem {
		return 0
	}
	return max(m.kind.Slots, 1)
}

// PlaceOf returns where the task or the set-up runs whose context ctx is, or was made of; false when there is none. What is set up
// once for all workers of a process, on whichever, is set up at the first of them.
func PlaceOf(ctx context.Context) (Place, bool) {
	s := serverOf(ctx)
	if s == nil {
		return Place{}, false
	}
	p := Place{Host: s.svc.Hello.Host, Pid: s.svc.Hello.Pid, Rank: s.svc.Hello.Rank}
	s.mu.Lock()
	p.Index, p.Count, p.HostIndex, p.HostCount, p.Attempt = s.rank, s.size, s.onHost.index, s.onHost.count, s.again+1
	p.Slot, p.Slots = slotOf(s.rank, s.inProcess, s.size)
	if s.svc.Together && !s.isSetUp {
		p.Index, p.HostIndex, p.Slot = p.Index-p.Slot, p.HostIndex-p.Slot, 0
	}
	s.mu.Unlock()
	return p, true
}

// FunctionOf returns the number of the function of the task whose context ctx is, or was made of; false when there is none.
func FunctionOf(ctx context.Context) (fn uint32, ok bool) {
	s := serverOf(ctx)
	if s == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fn, s.cancelSeq > 0
}
