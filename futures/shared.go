package futures

import "sync"

// sharedFunctions numbers the functions that executors run which share arguments: a Local one has no place in the
// registry, and the registry has no numbers before Main. The scheduler measures and names functions by number. It goes by
// names, so that a Local made again and again at one place keeps its number.
var sharedFunctions struct {
	sync.Mutex
	numbers map[string]uint32
	names   []string
}

// sharedNumber returns the function's number where arguments are shared.
func (f *function[A, R]) sharedNumber() uint32 {
	if n := f.shared.Load(); n > 0 {
		return uint32(n - 1)
	}
	s := &sharedFunctions
	s.Lock()
	defer s.Unlock()
	n, ok := s.numbers[f.name]
	if !ok {
		if s.numbers == nil {
			s.numbers = map[string]uint32{}
		}
		n = uint32(len(s.names))
		s.numbers[f.name] = n
		s.names = append(s.names, f.name)
	}
	f.shared.Store(int64(n) + 1)
	return n
}

// sharedName is functionName where arguments are shared.
func sharedName(fn uint32) string {
	s := &sharedFunctions
	s.Lock()
	defer s.Unlock()
	if int(fn) < len(s.names) {
		return s.names[fn]
	}
	return "task"
}

// numberFor returns the number by which the workers of an executor know the function.
func (f *function[A, R]) numberFor(e *executor) (uint32, error) {
	if e.shares {
		return f.sharedNumber(), nil
	}
	return f.number()
}
