package dispatch_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// A worker sends results, and then marks that in its journal. When it ends in between, the marks are of a unit that the master has had the
// answer of: they say nothing about the one behind it, which has not begun.
func TestAUnitIsNotTakenForTheOneBeforeItWhoseAnswerWasNotMarkedAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		back   bool // 5 is given back, and sent again as 6
		loss   link.Loss
		failed uint64
		answer []byte   // of the next worker, to what comes back
		want   []uint64 // of the second unit
	}{
		"it ended before the mark":             {false, link.Loss{Finished: 3, Picked: 5, Over: 1, Results: []byte{7}}, 0, []byte{'R', 1, 2 << 2, 9, 9}, []uint64{9, 9}},
		"it ended after the mark":              {false, link.Loss{Finished: 4, Picked: 5, Over: 1, Results: []byte{5}}, 1, nil, []uint64{5}},
		"the marks are wrong":                  {false, link.Loss{Finished: 2, Picked: 5, Over: 1, Results: []byte{7}}, 1, nil, nil},
		"the marks are of what was given back": {true, link.Loss{Finished: 4, Picked: 6, Over: 1, Results: []byte{7}}, 0, []byte{'R', 1, 1<<2 | 2, 0, 1, 1, 3, 0, 9}, []uint64{9}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m := p.proven(t)
			s := newSink(2)
			j := &dispatch.Job{Func: 0, Units: 2, Data: []byte{2, 1, 2, 2, 3, 4}, Sink: s, More: &dispatch.More{Chunk: 2, Elements: 4}}
			if err := m.Submit(j); err != nil {
				t.Fatal(err)
			}
			p.hears(t, 't') // 4 and 5
			if c.back {
				p.say([]byte{'b', 5})
			}
			p.say([]byte{'R', 4, 2 << 2, 7, 7})
			if c.back {
				p.hears(t, 't')
			}
			c.loss.Err, c.loss.Proof = errors.New("killed"), true
			p.handler.Lost(0, c.loss)
			if n := m.Stats().Failed; n != c.failed {
				t.Fatalf("%d units have failed, want %d", n, c.failed)
			}
			s.mu.Lock()
			err := s.errs[1]
			s.mu.Unlock()
			if began := name != "it ended before the mark"; began != (err != nil) {
				t.Fatalf("the second unit has failed with %v, and it is %v that it had begun", err, began)
			}
			if c.answer != nil {
				p.greet(0, "")
				p.hears(t, 't')
				p.say(c.answer)
			}
			s.wait(t)
			if d := cmp.Diff([]uint64{7, 7}, s.got[0]); d != "" {
				t.Errorf("results of the first unit (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.want, s.got[1]); d != "" {
				t.Errorf("results of the second unit (-want +got):\n%s", d)
			}
			p.end(t, m, s)
		})
	}
}
