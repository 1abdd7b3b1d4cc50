package dispatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// tinyPuppet returns a master whose one worker, a puppet, has answered a unit of a function that is tiny.
func tinyPuppet(t *testing.T) (*puppet, *dispatch.Master) {
	t.Helper()
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p})
	first, proven := job(0, 1)
	if err := m.Submit(first); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	<-p.sent
	p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3})
	proven.wait(t)
	return p, m
}

func TestOnlyTheUnitsOfAnInterruptedJobAreDroppedWhenABatchComesBack(t *testing.T) {
	for how, giveBack := range map[string]func(*puppet){
		"by a hand-back": func(p *puppet) { p.say([]byte{'b', 4}) },
		"by the worker's death": func(p *puppet) {
			p.handler.Lost(0, link.Loss{Err: errors.New("gone"), Proof: true, Finished: 2, Picked: 6})
		},
	} {
		t.Run(how, func(t *testing.T) {
			p, m := tinyPuppet(t)
			held, _ := job(0, 1)
			if err := m.Submit(held); err != nil {
				t.Fatal(err)
			}
			<-p.sent
			var jobs []*dispatch.Job
			var sinks []*sink
			for x := range 4 {
				j, s := job(0, uint64(x))
				jobs, sinks = append(jobs, j), append(sinks, s)
				if err := m.Submit(j); err != nil {
					t.Fatal(err)
				}
			}
			p.say([]byte{'R', 2, 1 << 2, 7, 10<<2 | 3}) // what was held: the four go out together, as 3 to 6
			if f := <-p.sent; f.Stream[0] != 't' {
				t.Fatalf("the master sent %q in place of tasks", f.Stream)
			}
			if !m.InterruptJob(jobs[2]) {
				t.Fatal("a unit that was handed out does not run")
			}
			if f := <-p.sent; string(f.Stream) != "c\x05\x01\x00" {
				t.Fatalf("the master sent %q in place of the end of one context", f.Stream)
			}
			giveBack(p)
			sinks[2].wait(t)
			if err := sinks[2].errs[0]; !errors.Is(err, dispatch.ErrInterrupted) {
				t.Errorf("the interrupted unit: %v", err)
			}
			if n := sinks[2].claims[0]; n != 0 {
				t.Errorf("it is claimed %d times and was not begun", n)
			}
			if s := m.Stats(); s.Cancelled != 1 || s.Queued+s.Running < 2 {
				t.Errorf("%+v", s)
			}
			_, _ = m.Shutdown(context.Background(), false, true)
		})
	}
}

func TestAJobThatIsInterruptedBetweenTwoWorkersBeginsWithAContextThatHasEnded(t *testing.T) {
	p, m := tinyPuppet(t)
	j, _ := job(0, 5)
	m.InterruptJob(j) // its sink could not be cancelled, for it was handed out, and it was given back since
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	if f := <-p.sent; f.Stream[0] != 't' {
		t.Fatalf("the master sent %q in place of a task", f.Stream)
	}
	if f := <-p.sent; string(f.Stream) != "c\x02\x01\x00" {
		t.Fatalf("the master sent %q in place of the end of its context", f.Stream)
	}
	_, _ = m.Shutdown(context.Background(), false, true)
}
