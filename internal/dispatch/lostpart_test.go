package dispatch_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// The end of a unit of which parts have come says where it begins: else the results of its last elements would be taken for those of the
// first, had a part not arrived.
func TestResultsOfTheLastElementsAreNotTakenForThoseOfTheFirstWhenAPartIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		frames  [][]byte
		refused bool
	}{
		"all there":                {[][]byte{{'R', 4, 2<<2 | 2, 0, 0, 2, 2, 0, 7, 7}, {'R', 4, 1<<2 | 2, 0, 2, 1, 3, 0, 9}}, false},
		"a part is missing":        {[][]byte{{'R', 4, 1<<2 | 2, 0, 2, 1, 3, 0, 9}}, true},
		"a part comes behind":      {[][]byte{{'R', 4, 1<<2 | 2, 0, 2, 1, 3, 0, 9}, {'R', 4, 2<<2 | 2, 0, 0, 2, 2, 0, 7, 7}}, true},
		"the end is of all":        {[][]byte{{'R', 4, 2<<2 | 2, 0, 0, 2, 2, 0, 7, 7}, {'R', 4, 3 << 2, 7, 7, 9}}, true},
		"the end is of less":       {[][]byte{{'R', 4, 1<<2 | 2, 0, 0, 1, 2, 0, 7}, {'R', 4, 1<<2 | 2, 0, 1, 1, 3, 0, 9}}, true},
		"it ends twice":            {[][]byte{{'R', 4, 2<<2 | 2, 0, 0, 2, 2, 0, 7, 7}, {'R', 4, 1<<2 | 2, 0, 2, 1, 3, 0, 9}, {'R', 4, 1<<2 | 2, 0, 2, 1, 3, 0, 9}}, false},
		"all of it in a last part": {[][]byte{{'R', 4, 3<<2 | 2, 0, 0, 3, 3, 0, 7, 7, 9}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m := p.proven(t)
			s := newSink(1)
			j := &dispatch.Job{Func: 0, Units: 1, Data: []byte{3, 1, 2, 3}, Sink: s, More: &dispatch.More{Chunk: 3, Elements: 3}}
			if err := m.Submit(j); err != nil {
				t.Fatal(err)
			}
			p.hears(t, 't')
			for _, f := range c.frames {
				p.say(append([]byte(nil), f...))
			}
			if c.refused {
				select {
				case cause := <-p.killed:
					if cause == nil {
						t.Error("given up without a cause")
					}
				case <-time.After(limit):
					t.Error("the worker was not given up")
				}
			} else {
				s.wait(t)
			}
			p.end(t, m, s)
		})
	}
}

// No worker gives back a unit of which a part has come. What a damaged one says must not leave elements of other units out.
func TestElementsThatAreOverCountForTheirUnitAloneWhenSeveralComeBack(t *testing.T) {
	p := newPuppet()
	m := p.proven(t)
	s := newSink(2)
	j := &dispatch.Job{Func: 0, Units: 2, Data: []byte{2, 1, 2, 2, 3, 4}, Sink: s, More: &dispatch.More{Chunk: 2, Elements: 4}}
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	p.hears(t, 't')                                   // 4 and 5
	p.say([]byte{'R', 4, 1<<2 | 2, 0, 0, 1, 2, 0, 7}) // one element of 4
	p.say([]byte{'b', 4})                             // and all of it back
	p.hears(t, 't')                                   // 6 is the rest of 4
	p.say([]byte{'R', 6, 1<<2 | 2, 0, 1, 1, 3, 0, 8}) // it ends
	p.hears(t, 't')                                   // 7 is all of 5
	p.say([]byte{'R', 7, 2 << 2, 9, 9})
	s.wait(t)
	select {
	case err := <-p.killed:
		t.Error(err)
	default:
	}
	if d := cmp.Diff([]uint64{9, 9}, s.got[1]); d != "" {
		t.Errorf("results of the second unit (-want +got):\n%s", d)
	}
	p.end(t, m, s)
}

// How long an element takes is told by those that have succeeded, and by no others of their unit.
func TestElementsThatHaveFailedDoNotMakeTheirFunctionLookShort(t *testing.T) {
	p := newPuppet()
	m := p.proven(t)
	s := newSink(1)
	j := &dispatch.Job{Func: 1, Units: 1, Data: []byte{3, 1, 2, 3}, Sink: s, More: &dispatch.More{Chunk: 3, Elements: 3}}
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	p.hears(t, 't')
	results := []byte{'R', 4, 2, 0, 0, 0, 1, 1, 'e', 2, 0, 1, 0, 1, 1, 'e', 1<<2 | 2, 0, 2, 1, 3, 0, 9}
	p.say(binary.AppendUvarint(results, uint64(900*time.Microsecond)<<2|3))
	s.wait(t)
	if m.Together(1, 1) > 1 {
		t.Error("one that takes 900 µs is taken for one of 300, because two others have failed")
	}
	p.end(t, m, s)
}
