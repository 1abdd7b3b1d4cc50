package dispatch

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/internal/link"
)

// Values keeps what a process was sent of generations. The workers that are slots of a process have one in common. Calls may run
// together.
type Values interface {
	// Add takes a generation. It does not block.
	Add(number uint64, values []Received)

	// Forget lets go of a generation, if it is there. It may be added again.
	Forget(number uint64)

	// Context returns tasks, the context of a worker's tasks, with the values of a generation. It may decode them, and it may have to wait
	// until they come, for as long as tasks lasts. Of a worker that shares memory with its master shared is the generation's Shared, and nothing was
	// added.
	Context(tasks context.Context, number uint64, shared any) (context.Context, error)
}

// Received is a value of a generation: as a Value has it, or if From is not 0 that of the same name which that generation has, which was added before.
type Received struct {
	Name     string
	From     uint64
	Stream   []byte
	Segments [][]byte
}

var errNoValues = errors.New("this worker keeps no values that are set after the start")

// valuesFrame takes a generation in.
func (s *server) valuesFrame(f link.Frame, r *reader) (goOn bool) {
	number, n := r.uint(), r.uint()
	buffers := segments{all: f.Segments}
	var all []Received
	for ; n > 0 && r.err == nil; n-- {
		v := Received{Name: string(r.bytes(r.uint())), From: r.uint()}
		if v.From == 0 {
			size := r.uint()
			v.Segments = buffers.take(r.uint())
			v.Stream = r.bytes(size)
		}
		all = append(all, v)
	}
	if err := errors.Join(r.err, buffers.err); err != nil {
		s.finish(err)
		return false
	}
	if s.values != nil {
		s.values.Add(number, all)
	}
	return true
}

// forgetFrame lets go of generations.
func (s *server) forgetFrame(r *reader) (goOn bool) {
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		if number := r.uint(); r.err == nil && s.values != nil {
			s.values.Forget(number)
		}
	}
	if r.err != nil {
		s.finish(r.err)
	}
	return r.err == nil
}

// useFrame notes which generation the tasks need that follow.
func (s *server) useFrame(f link.Frame, r *reader) (goOn bool) {
	s.generation, s.shared = r.uint(), nil
	if g, ok := f.Local.(*Generation); ok {
		s.shared = g.Shared
	}
	if r.err != nil {
		s.finish(r.err)
	}
	return r.err == nil
}

// dress gives a batch the context that its tasks run under. It may take as long as a task.
func (s *server) dress(w *work) {
	w.tasks, w.undressed = s.tasks, nil
	switch {
	case w.generation == 0:
	case s.values == nil:
		w.undressed = errNoValues
	default:
		ctx, err := s.values.Context(s.tasks, w.generation, w.shared)
		if err != nil {
			w.undressed = err
			return
		}
		w.tasks = ctx
	}
}
