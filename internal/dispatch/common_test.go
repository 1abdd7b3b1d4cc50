package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// trio is a group of three workers, whose words the test writes, and which may be able to break what they have in common.
type trio struct {
	*puppet
	breaks bool
	heard  [3]chan []byte
}

func newTrio(breaks bool) *trio {
	q := &trio{puppet: newPuppet(), breaks: breaks}
	for i := range q.heard {
		q.heard[i] = make(chan []byte, 100)
	}
	return q
}

func (q *trio) Traits() link.Traits { return link.Traits{Kind: "puppet", Spread: true} }
func (q *trio) Breaks() bool        { return q.breaks }
func (q *trio) Send(w int, f link.Frame) {
	q.heard[w] <- bytes.Clone(f.Stream)
}

func (q *trio) Open(ctx context.Context, h link.Handler) (int, error) {
	_, err := q.puppet.Open(ctx, h)
	return 3, err
}

// says delivers a frame of a worker.
func (q *trio) says(w int, stream ...byte) {
	q.handler.Receive(w, link.Frame{Stream: stream})
	synctest.Wait()
}

func (q *trio) loses(w int) {
	q.handler.Lost(w, link.Loss{Err: errors.New("gone"), Proof: true, Picked: 1})
	synctest.Wait()
}

// answers are the frames of a kind that a worker was sent since the last call, without that byte.
func (q *trio) answers(w int, kind byte) (all []string) {
	for len(q.heard[w]) > 0 {
		if b := <-q.heard[w]; b[0] == kind {
			all = append(all, string(b[1:]))
		}
	}
	return all
}

// inGangOfTwo calls f while a gang runs on workers 0 and 1 of three, which have asked for each other.
func inGangOfTwo(t *testing.T, breaks bool, f func(q *trio, doomed chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q, doomed := newTrio(breaks), make(chan error, 10)
		m := dispatch.New(dispatch.Config{Group: q, Stuck: func(err error) { doomed <- err },
			DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) }})
		j, all := job(1, 0)
		j.More = &dispatch.More{Gang: true, Workers: 2}
		all.left = 2
		if err := m.Submit(j); err != nil {
			t.Fatal(err)
		}
		for w := range 3 {
			<-q.started
			q.says(w, 'h', 1, 1, 0, 0)
			q.says(w, 'r')
		}
		q.says(0, 'a')
		q.says(1, 'a')
		for w := range 3 {
			if n := len(q.answers(w, 't')); w < 2 && n != 1 || w == 2 && n != 0 {
				t.Fatalf("worker %d was sent %d units", w, n)
			}
		}
		f(q, doomed)
		for w := range 3 {
			q.handler.Lost(w, link.Loss{Err: errors.New("gone"), Proof: true, Picked: 1})
		}
		all.wait(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = m.Shutdown(ctx, false, true)
		await(t, m.Closed(), "end of the master")
	})
}

func expect(t *testing.T, q *trio, w int, kind byte, want ...string) {
	t.Helper()
	if got := q.answers(w, kind); !slices.Equal(got, want) {
		t.Errorf("worker %d heard %q, want %q", w, got, want)
	}
}

func TestTheMasterAgreesWhenAllMembersOfAGangHaveAsked(t *testing.T) {
	inGangOfTwo(t, true, func(q *trio, doomed chan error) {
		q.says(0, 'd', 1, 1, 0)
		expect(t, q, 0, 'd')
		q.says(0, 'w', 1) // it will not wait any longer, and asks again
		expect(t, q, 0, 'd', "\x01\x00\x00it was taken back")
		q.says(0, 'd', 2, 1, 0)
		q.says(1, 'd', 1, 1, 0)
		expect(t, q, 0, 'd', "\x02\x01\x00")
		expect(t, q, 1, 'd', "\x01\x01\x00")
		q.says(0, 'w', 2) // too late
		expect(t, q, 0, 'd')
		q.says(1, 'd', 2, 1, 7, 2, 1, 0) // ranks of their own choice
		q.says(0, 'd', 3, 1, 7, 2, 1, 0)
		expect(t, q, 0, 'd', "\x03\x02\x00")
		expect(t, q, 1, 'd', "\x02\x02\x00")
		if len(doomed) > 0 {
			t.Error(<-doomed)
		}
	})
}

func TestTheMasterRefusesWhatAMemberWillTakeNoPartIn(t *testing.T) {
	ends := map[string]struct {
		end  func(q *trio)
		says string
	}{
		"returned": {func(q *trio) { q.says(1, 'R', 1, 1<<2, 7) }, "\x01\x00\x02"},
		"failed":   {func(q *trio) { q.says(1, 'R', 1, 2, 0, 0, 0, 0, 3, 'b', 'a', 'd') }, "\x01\x00\x02its task failed"},
		"lost":     {func(q *trio) { q.loses(1) }, "\x01\x00\x02it was lost: gone"},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			inGangOfTwo(t, false, func(q *trio, doomed chan error) {
				q.says(0, 'd', 1, 1, 0)
				c.end(q)
				expect(t, q, 0, 'd', c.says)
				q.says(0, 'd', 1, 1, 0) // and it hears the same if it asks then
				expect(t, q, 0, 'd', c.says)
				if len(doomed) > 0 {
					t.Error(<-doomed)
				}
			})
		})
	}
}

func TestALossConcernsOnlyTheCommunicatorsThatHaveTheWorker(t *testing.T) {
	const both = 2
	for name, c := range map[string]struct {
		breaks       bool
		made         int // of two members
		lost         int
		ends, broken bool
	}{
		"a member, made":                       {true, both, 1, false, true},
		"a member, half made":                  {true, 1, 0, true, false},
		"a member, not made":                   {true, 0, 1, true, false},
		"a member, which cannot be broken":     {false, both, 1, true, false},
		"another, made":                        {true, both, 2, false, false},
		"another, not made":                    {true, 0, 2, false, false},
		"another, where nothing can be broken": {false, 1, 2, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			inGangOfTwo(t, c.breaks, func(q *trio, doomed chan error) {
				for w := range 2 {
					q.says(w, 'd', 1, 1, 0)
				}
				for w := range c.made {
					q.says(w, 'D', 1)
				}
				q.loses(c.lost)
				broken := q.answers((c.lost+1)%2, 'x')
				if ends := len(doomed) > 0; ends != c.ends || slices.Equal(broken, []string{"\x01"}) != c.broken || len(broken) > 1 {
					t.Errorf("the end of everything: %v, a word to break: %q", ends, broken)
				}
			})
		})
	}
}

// A goroutine that a task has left behind may ask when the task has ended, and the worker runs something else.
func TestAQuestionOfATaskThatHasEndedIsNotTheNextTasks(t *testing.T) {
	inGangOfTwo(t, false, func(q *trio, doomed chan error) {
		q.says(0, 'd', 1, 0, 0)
		expect(t, q, 0, 'd', "\x01\x00\x00its task has ended")
		q.says(1, 'd', 1, 1, 0)
		expect(t, q, 1, 'd')
		q.says(0, 'd', 2, 1, 0) // the two that run, and no other
		expect(t, q, 0, 'd', "\x02\x01\x00")
		expect(t, q, 1, 'd', "\x01\x01\x00")
		q.says(0, 'R', 1, 1<<2, 7)
		q.says(0, 'd', 3, 1, 0)
		expect(t, q, 0, 'd', "\x03\x00\x00its task has ended")
		if len(doomed) > 0 {
			t.Error(<-doomed)
		}
	})
}

// A task that has been given up runs on, and waits in MPI for others perhaps.
func TestALossWakesATaskThatHasBeenGivenUp(t *testing.T) {
	inGangOfTwo(t, true, func(q *trio, doomed chan error) {
		for w := range 2 {
			q.says(w, 'd', 1, 1, 0)
		}
		for w := range 2 {
			q.says(w, 'D', 1)
		}
		q.says(0, 'o', 1)
		q.loses(1)
		expect(t, q, 0, 'x', "\x01")
		if len(doomed) > 0 {
			t.Error(<-doomed)
		}
	})
}

func TestAMemberThatAsksForWhatIsNotItsOwnIsEnded(t *testing.T) {
	for name, asks := range map[string][][]byte{
		"of another worker":    {{'d', 1, 1, 7, 2, 0, 2}},
		"twice the same":       {{'d', 1, 1, 7, 2, 0, 0}},
		"without itself":       {{'d', 1, 1, 7, 1, 1}},
		"more than there are":  {{'d', 1, 1, 7, 9, 0, 1}},
		"cut off":              {{'d', 1, 1, 7, 2, 0}},
		"other than the first": {{'d', 1, 1, 7, 2, 0, 1}, {'d', 2, 1, 7, 2, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			inGangOfTwo(t, true, func(q *trio, doomed chan error) {
				for _, b := range asks {
					q.says(0, b...)
				}
				select {
				case err := <-q.killed:
					if !strings.Contains(err.Error(), "damaged message") {
						t.Error(err)
					}
				default:
					t.Error("it goes on")
				}
			})
		})
	}
}

// commons stands for what an MPI would make: it notes what is made of which workers, and what is freed and broken.
type commons struct {
	mu    sync.Mutex
	made  map[string]int
	freed map[uint64]int
	kept  map[uint64]int // may have messages

	asked func() // if not nil, called when a worker has asked for one
}

// connected is an endpoint that has them.
type connected struct {
	link.Endpoint
	of *commons
}

func (c connected) Send(f link.Frame) error {
	asks := f.Stream[0] == 'd'
	err := c.Endpoint.Send(f)
	if asks && c.of.asked != nil {
		c.of.asked()
	}
	return err
}

func (c connected) Native(serial uint64, slots []int) (any, error) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.made[fmt.Sprint(serial > 0, slots)]++
	return serial, nil
}

func (c connected) FreeNative(serial uint64, received bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !received {
		c.of.kept[serial]++
		return
	}
	c.of.freed[serial]++
}

func (c connected) BreakNative(uint64) {}

// gangOfTwo runs a gang of two workers, of which these members fail.
func gangOfTwo(t *testing.T, p *pool, timeout time.Duration, fail []int) {
	t.Helper()
	j, s := job(0, 0)
	j.More = &dispatch.More{Gang: true, Workers: 2, Timeout: timeout}
	s.left = 2
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	for unit := range 2 {
		if err := s.errs[unit]; (err != nil) != slices.Contains(fail, unit) {
			t.Errorf("rank %d: %v", unit, err)
		}
	}
}

func TestATaskHasOneCommunicatorOfItsGangWhichEndsWithIt(t *testing.T) {
	all := &commons{made: map[string]int{}, freed: map[uint64]int{}, kept: map[uint64]int{}}
	serve := func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(connected{ep, all}, svc) }
	asks := func(ctx context.Context, _ uint64) (uint64, error) {
		p, err := dispatch.Workers(ctx)
		if err != nil {
			return 0, err
		}
		first, err := p.Native(ctx, 0, nil)
		if err != nil {
			return 0, err
		}
		second, err := p.Native(ctx, 0, nil)
		if err != nil || first != second {
			return 0, fmt.Errorf("%v, and then %v, %w", first, second, err)
		}
		back, err := p.Native(ctx, 9, []int{1, 0})
		if err != nil || back == first {
			return 0, fmt.Errorf("%v is %v, %w", back, first, err)
		}
		return uint64(p.Rank), nil
	}
	p := newPoolOf(t, 3, serve, nil, asks)
	const gangs = 5
	for range gangs {
		gangOfTwo(t, p, 0, nil)
	}
	p.close()
	all.mu.Lock()
	defer all.mu.Unlock()
	made := 0
	for _, n := range all.made {
		made += n
	}
	for serial, n := range all.freed {
		if serial == 0 || n != 2 {
			t.Errorf("number %d was freed %d times, by 2 workers", serial, n)
		}
	}
	if made != 4*gangs || len(all.freed) != 2*gangs {
		t.Errorf("made %v, freed %v", all.made, all.freed)
	}
}

// A context ends the wait for the other members, who may ask later.
func TestAMemberWaitsForTheOthersUntilItsContextEnds(t *testing.T) {
	asked := make(chan struct{}, 10)
	all := &commons{made: map[string]int{}, freed: map[uint64]int{}, asked: func() { asked <- struct{}{} }}
	serve := func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(connected{ep, all}, svc) }
	gaveUp := make(chan error, 1)
	asks := func(ctx context.Context, _ uint64) (uint64, error) {
		p, err := dispatch.Workers(ctx)
		if err != nil {
			return 0, err
		}
		if p.Rank == 0 {
			short, cancel := context.WithCancelCause(ctx)
			go func() {
				<-asked
				cancel(errors.New("enough"))
			}()
			_, err := p.Native(short, 0, nil)
			gaveUp <- err
		} else if err := <-gaveUp; err == nil || err.Error() != "enough" {
			return 0, fmt.Errorf("alone it got %w", err)
		}
		_, err = p.Native(ctx, 0, nil)
		return 0, err
	}
	p := newPoolOf(t, 3, serve, nil, asks)
	gangOfTwo(t, p, 0, nil)
}

// MPI gives the context of a communicator that was freed to another one, which would receive what a task that has failed has not.
func TestWhatATaskThatFailsHasHadInCommonIsNeverUsedAgain(t *testing.T) {
	all := &commons{made: map[string]int{}, freed: map[uint64]int{}, kept: map[uint64]int{}}
	serve := func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(connected{ep, all}, svc) }
	ends := []func(ctx context.Context) error{
		func(context.Context) error { return errors.New("bad") },
		func(ctx context.Context) error { <-ctx.Done(); return nil }, // of another member's failure
	}
	asks := func(ctx context.Context, _ uint64) (uint64, error) {
		p, err := dispatch.Workers(ctx)
		if err != nil {
			return 0, err
		}
		if _, err := p.Native(ctx, 0, nil); err != nil {
			return 0, err
		}
		return 0, ends[p.Rank](ctx)
	}
	p := newPoolOf(t, 3, serve, nil, asks)
	gangOfTwo(t, p, time.Second, []int{0})
	p.close()
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.freed) != 0 || len(all.kept) != 1 || all.kept[1] != 2 {
		t.Errorf("freed %v, kept %v", all.freed, all.kept)
	}
}
