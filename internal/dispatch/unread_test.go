package dispatch_test

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// partSink keeps what it is told of the parts of its one unit.
type partSink struct {
	*sink
	mu    sync.Mutex
	parts [][3]int // first element, succeeded, failed
}

func (s *partSink) Part(unit int, p dispatch.Part) {
	s.mu.Lock()
	s.parts = append(s.parts, [3]int{p.At, p.Done, p.Failed})
	s.mu.Unlock()
	s.sink.Part(unit, p)
}

// A worker may end while it hands in the results of some elements. These have run and must not run again, and what the journal holds
// of them is no results.
func TestElementsWhoseResultsAWorkerWasHandingInAreLostAndRunNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		over int
		want [][3]int
		rest bool
	}{
		"some of a unit":      {2, [][3]int{{0, 0, 2}}, true},
		"all of it":           {3, [][3]int{{0, 0, 3}}, false},
		"more than there are": {math.MaxInt, [][3]int{{0, 0, 3}}, false},
		"none":                {0, [][3]int{{0, 0, 1}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m, first := p.begin(t)
			p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3})
			p.hears(t, 't')
			p.say([]byte{'R', 2, 1 << 2, 7, 1 << 2, 7})
			first.wait(t)
			s := &partSink{sink: newSink(1)}
			data := []byte{3, 1, 2, 3} // a unit of three bytes: the arguments of three calls
			j := &dispatch.Job{Func: 0, Units: 1, Data: data, Sink: s, More: &dispatch.More{Chunk: 3, Elements: 3}}
			if err := m.Submit(j); err != nil {
				t.Fatal(err)
			}
			p.hears(t, 't')
			p.handler.Lost(0, link.Loss{Err: errors.New("killed"), Proof: true, Finished: 3, Picked: 4, Over: c.over, Unread: true})
			if c.rest {
				await(t, p.started, "start of another worker")
				p.say([]byte{'h', 1, 1, 0, 0})
				p.hears(t, 's')
				p.say([]byte{'r'})
				p.hears(t, 't') // what is left
			} else {
				s.wait(t)
			}
			s.mu.Lock()
			if d := cmp.Diff(c.want, s.parts); d != "" {
				t.Errorf("parts (-want +got):\n%s", d)
			}
			s.mu.Unlock()
			p.end(t, m, s.sink)
		})
	}
}
