package dispatch_test

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// near is a puppet in this process.
type near struct{ *puppet }

func (near) Traits() link.Traits { return link.Traits{Kind: "near", Kills: true, SharesMem: true} }

func TestATaskOfAShortFunctionIsSentAheadWhileThereIsEnoughForTheOthers(t *testing.T) {
	for name, c := range map[string]struct {
		took time.Duration
		in   func(p *puppet) link.Group
		want []int // frames after each answer
	}{
		"short":           {time.Millisecond, func(p *puppet) link.Group { return p }, []int{2, 1, 1, 0, 1, 0}},
		"long":            {3 * time.Millisecond, func(p *puppet) link.Group { return p }, []int{1, 1, 1, 1, 1, 0}},
		"in this process": {time.Millisecond, func(p *puppet) link.Group { return near{p} }, []int{1, 1, 1, 1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPuppet()
				m := dispatch.New(dispatch.Config{Group: c.in(p)})
				j, s := job(0, 1, 2, 3, 4, 5, 6)
				if err := m.Submit(j); err != nil {
					t.Fatal(err)
				}
				p.greet(0, "")
				p.hears(t, 't')
				var got []int
				for n := range byte(6) {
					p.say(binary.AppendUvarint([]byte{'R', n + 1, 1 << 2, 7}, uint64(c.took)<<2|3))
					synctest.Wait() // the frames leave by whichever goroutine is sending
					got = append(got, len(p.sent))
					for len(p.sent) > 0 {
						p.hears(t, 't')
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error("frames of tasks after each answer:", diff)
				}
				s.wait(t)
				if _, err := m.Shutdown(t.Context(), true, false); err != nil {
					t.Fatal(err)
				}
				p.handler.Lost(0, link.Loss{})
				await(t, m.Closed(), "end of the master")
			})
		})
	}
}

// A gang waits for all workers. What was sent ahead and has come back was submitted before it, and must not wait for it: a
// running task may be waiting for that.
func TestWhatComesBackIsNotHeldUpByAGangThatWaits(t *testing.T) {
	synctest.Test(t, testWhatComesBack)
}

func testWhatComesBack(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: pair{p}})
	j, s := job(0, 1, 2, 3, 4, 5, 6)
	g, all := job(1, 0)
	g.More = &dispatch.More{Gang: true}
	all.left = 2 // one for each worker
	for _, j := range []*dispatch.Job{j, g} {
		if err := m.Submit(j); err != nil {
			t.Fatal(err)
		}
	}
	p.greet(0, "")
	p.greet(1, "")
	hear := func(want int, after string) {
		t.Helper()
		synctest.Wait() // the frames leave by whichever goroutine is sending
		if got := len(p.sent); got != want {
			t.Fatalf("%d frames after %s, want %d", got, after, want)
		}
		for len(p.sent) > 0 {
			p.hears(t, 't')
		}
	}
	answer := func(slot int, seq byte) {
		p.handler.Receive(slot, link.Frame{Stream: binary.AppendUvarint([]byte{'R', seq, 1 << 2, 7}, uint64(time.Millisecond)<<2|3)})
	}
	hear(2, "the start")
	answer(0, 1)
	hear(2, "the first answer, of which one is sent ahead")
	answer(1, 1)
	hear(1, "the other worker's")
	answer(1, 2)
	hear(1, "its next")
	answer(1, 3)
	hear(0, "its last, for the gang is next")
	p.say([]byte{'b', 3})
	hear(1, "what was sent ahead has come back")
	answer(1, 4)
	answer(0, 2)
	hear(2, "all is done, and the gang starts")
	s.wait(t)
	answer(0, 4)
	answer(1, 5)
	all.wait(t)
	if _, err := m.Shutdown(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	p.handler.Lost(0, link.Loss{})
	p.handler.Lost(1, link.Loss{})
	await(t, m.Closed(), "end of the master")
}
