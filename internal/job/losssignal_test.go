//go:build unix

package job_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/job"
)

// ranksLost is a count of lost ranks as the link keeps it.
type ranksLost struct {
	sync.Mutex
	n    int
	next chan struct{}
}

func (r *ranksLost) read() (int, <-chan struct{}) {
	r.Lock()
	defer r.Unlock()
	return r.n, r.next
}

func (r *ranksLost) add() {
	r.Lock()
	defer r.Unlock()
	r.n++
	close(r.next)
	r.next = make(chan struct{})
}

// event is what happens to a job: at a time, so many losses, or a signal.
type event struct {
	at   time.Duration
	lost int
	told os.Signal
}

func TestASignalDrainsUnlessALossExplainsIt(t *testing.T) {
	const usr1, usr2 = syscall.SIGUSR1, syscall.SIGUSR2
	ms := time.Millisecond
	for name, test := range map[string]struct {
		before  int // losses
		events  []event
		drains  os.Signal
		at      time.Duration
		ignored int
	}{
		"nothing happens":             {},
		"a signal alone":              {events: []event{{ms, 0, usr1}}, drains: usr1, at: ms + job.LossHold},
		"another signal":              {events: []event{{ms, 0, usr2}}, drains: usr2, at: ms},
		"another one beside one held": {events: []event{{ms, 0, usr1}, {2 * ms, 0, usr2}}, drains: usr2, at: 2 * ms},
		"a loss that was known":       {before: 3, events: []event{{ms, 0, usr1}}, drains: usr1, at: ms + job.LossHold},
		"a signal and its loss":       {events: []event{{ms, 0, usr1}, {51 * ms, 1, nil}}, ignored: 1},
		"a loss and its signal":       {events: []event{{ms, 1, nil}, {51 * ms, 0, usr1}}, ignored: 1},
		"a loss on another host":      {events: []event{{ms, 0, usr1}, {job.LossHold, 1, nil}}, ignored: 1},
		"a loss long ago": {
			events: []event{{ms, 1, nil}, {2*ms + job.LossMemory, 0, usr1}},
			drains: usr1, at: 2*ms + job.LossMemory + job.LossHold,
		},
		"a second signal after one loss": {
			events: []event{{ms, 0, usr1}, {51 * ms, 1, nil}, {52 * ms, 0, usr1}},
			drains: usr1, at: 52*ms + job.LossHold, ignored: 1,
		},
		"a wish just before a loss": {
			events: []event{{ms, 0, usr1}, {2 * ms, 0, usr1}, {51 * ms, 1, nil}},
			drains: usr1, at: 2*ms + job.LossHold, ignored: 1,
		},
		"two losses together, two signals": {events: []event{{ms, 0, usr1}, {2 * ms, 0, usr1}, {51 * ms, 2, nil}}, ignored: 2},
		"two losses together, one signal": {
			events: []event{{ms, 0, usr1}, {51 * ms, 2, nil}, {2 * job.LossMemory, 0, usr1}},
			drains: usr1, at: 2*job.LossMemory + job.LossHold, ignored: 1,
		},
		"a loss that comes too late": {
			events: []event{{ms, 0, usr1}, {2*ms + job.LossHold, 1, nil}},
			drains: usr1, at: ms + job.LossHold,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lost := &ranksLost{n: test.before, next: make(chan struct{})}
				var said []string
				l := job.LossSignal{Signal: usr1, Losses: lost.read, Say: func(text string) { said = append(said, text) }}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				told := make(chan os.Signal, 8)
				var all sync.WaitGroup
				defer all.Wait()
				all.Go(func() {
					begin := time.Now()
					for _, e := range test.events {
						time.Sleep(time.Until(begin.Add(e.at)))
						for range e.lost {
							lost.add()
						}
						if e.told != nil {
							told <- e.told
						}
					}
				})
				begin := time.Now()
				got := l.Await(ctx, told)
				took := time.Since(begin)
				if got == nil {
					took = 0
				}
				if got != test.drains || took != test.at {
					t.Errorf("%v after %v, want %v after %v", got, took, test.drains, test.at)
				}
				ignored := strings.Repeat("a rank was lost, and the launcher reported that by the signal \"user defined signal 1\": this signal drains nothing\n",
					test.ignored)
				if d := cmp.Diff(strings.Split(ignored, "\n"), append(said, "")); d != "" {
					t.Errorf("it says (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestADrainThatALossExplainsTooLateIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		asked bool // by a signal
		lost  int  // after that
		want  int  // lines
	}{
		"no drain": {false, 1, 0}, "no loss": {true, 0, 0}, "both": {true, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lost := &ranksLost{n: 2, next: make(chan struct{})}
				var said []string
				l := job.LossSignal{Signal: syscall.SIGUSR1, Losses: lost.read, Say: func(text string) { said = append(said, text) }}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				told := make(chan os.Signal, 1)
				if test.asked {
					told <- syscall.SIGUSR1
				}
				l.Await(ctx, told)
				for range test.lost {
					lost.add()
				}
				l.Review()
				if n := strings.Count(strings.Join(said, "\n"), "SIGWINCH"); n != test.want {
					t.Errorf("it says the advice %d times, want %d: %q", n, test.want, said)
				}
			})
		})
	}
}
