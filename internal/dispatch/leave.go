package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/trace"
)

// leaveRest is how much longer than Config.Stop the master waits for a worker that it has told to leave: by then the worker has
// given up what does not end, and says what that was.
const leaveRest = time.Second

// leaveLimit is how long a worker may take to leave.
func (m *Master) leaveLimit() time.Duration {
	return m.cfg.Stop + min(leaveRest, math.MaxInt64-m.cfg.Stop)
}

// dismiss tells a worker to leave. A task that was given up may still run there.
func (m *Master) dismiss(w *worker) {
	w.state = leaving
	m.trace.phase(w, trace.Leaving, nil)
	m.send(w, binary.AppendUvarint(number(kindStop, uint64(m.cfg.Stop)), uint64(w.units)))
}

// Failure is what went wrong while a worker left.
type Failure struct {
	What string // what has failed
	Err  error
}

// stopFrame leaves, as the master says. What the master has been answered lets go in a moment, and then what the worker has for its
// tasks is closed. A task that was given up keeps it, and its goroutine closes it when the task returns.
func (s *server) stopFrame(r *reader) {
	limit, abandoned := time.Duration(r.uint()), r.uint() > 0
	s.mu.Lock()
	for s.proto.running && !abandoned {
		s.freed.Wait()
	}
	s.late, s.limit = s.proto.running, limit
	late := s.late
	s.mu.Unlock()
	if failures := s.leave(!late, limit); len(failures) > 0 || s.inProcess > 1 {
		b := append(link.GetBuffer(), kindLeft)
		for _, f := range failures {
			b = binary.AppendUvarint(b, uint64(len(f.What)))
			b = append(b, f.What...)
			coded := s.svc.AppendError(nil, f.Err)
			b = binary.AppendUvarint(b, uint64(len(coded)))
			b = append(b, coded...)
		}
		s.transmit(link.Frame{Stream: b})
	}
	s.finish(s.ep.Close())
}

// leave closes what the worker has for its tasks, if it may.
func (s *server) leave(may bool, limit time.Duration) []Failure {
	if !may || s.svc.Leave == nil {
		return nil
	}
	return s.svc.Leave(s.tasks, limit)
}

// Keep says that programs which are started until over is called are there for the later tasks of the worker too, whose context this
// is: they do not end with the task.
func Keep(ctx context.Context) (over func()) {
	s := serverOf(ctx)
	if s == nil || s.programs == nil {
		return func() {}
	}
	s.programs.Keep(true)
	return func() { s.programs.Keep(false) }
}

// farewell takes what has gone wrong while a worker left. The errors are decoded where the user's code keeps nobody waiting.
func (m *Master) farewell(w *worker, r *reader, out *news) error {
	if w.state != leaving {
		return errors.New("a farewell of a worker that has not been told to leave")
	}
	slot, hello, who := w.slot, w.hello, w.attributes()
	if p := m.process(w); p != nil {
		w.away = true
		if p.ends() {
			m.endLeft(p)
		}
	}
	for len(r.b) > 0 {
		what := r.bytes(r.uint())
		coded := r.bytes(r.uint())
		if r.err != nil {
			return r.err
		}
		out.kept = true
		out.aside = append(out.aside, func() { m.hearFarewell(coded, what, slot, hello, who) })
	}
	return nil
}

// hearFarewell takes in one failure. The lock is not held.
func (m *Master) hearFarewell(coded, what []byte, slot int, hello *Hello, who []any) {
	err := m.cfg.DecodeLeaveError(coded, string(what), slot, *hello)
	m.mu.Lock()
	defer m.unlock()
	m.failures.add(err)
	m.report(slog.LevelWarn, "rankpool: worker did not leave well", who, "err", err)
}

// ends is a list of what went wrong when workers left, of which only the first are told one by one.
type ends struct {
	list []error
	more int
}

const mostEnds = 10

func (e *ends) add(err error) {
	if len(e.list) < mostEnds {
		e.list = append(e.list, err)
	} else {
		e.more++
	}
}

func (e *ends) errors() []error {
	if e.more == 0 {
		return e.list
	}
	return append(e.list[:len(e.list):len(e.list)], fmt.Errorf("and %d more of this kind", e.more))
}
