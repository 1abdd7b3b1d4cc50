package simlink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/simlink"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// clerk is a Worker that sends back what it receives, after a time that the first byte tells in microseconds.
type clerk struct {
	p    *simlink.Port
	held []link.Frame
}

func (c *clerk) Begin() { c.p.Send(link.Frame{Stream: []byte("hello")}) }

func (c *clerk) Receive(f link.Frame) {
	c.held = append(c.held, f)
	c.p.WakeAt(c.p.Now() + time.Duration(f.Stream[0])*time.Microsecond)
}

func (c *clerk) Wake() {
	for _, f := range c.held {
		c.p.Send(f)
	}
	c.held = nil
}

func (c *clerk) Finish() { c.p.Close(nil) }

func (c *clerk) Lose() link.Loss { return link.Loss{Proof: true, Finished: uint64(len(c.held))} }

// desk is a Handler that writes down what it is told, with the time, and answers.
type desk struct {
	g      *simlink.Group
	log    []string
	answer func(w int, stream string)
}

func (d *desk) note(w int, text string) {
	d.log = append(d.log, fmt.Sprintf("%v %d %s", d.g.Now(), w, text))
}

func (d *desk) Receive(w int, f link.Frame) {
	d.note(w, string(f.Stream))
	if d.answer != nil {
		d.answer(w, string(f.Stream))
	}
}

func (d *desk) Lost(w int, l link.Loss) { d.note(w, fmt.Sprintf("lost: %v, %d", l.Err, l.Finished)) }

func open(t *testing.T, cfg simlink.Config) *desk {
	t.Helper()
	cfg.Worker = func(p *simlink.Port) simlink.Worker { return &clerk{p: p} }
	d := &desk{g: simlink.New(cfg)}
	n, err := d.g.Open(context.Background(), d)
	if err != nil || n != cfg.Slots {
		t.Fatal(n, err)
	}
	for w := range n {
		d.g.Start(w)
	}
	t.Cleanup(func() {
		if err := d.g.Close(testkit.Within(t)); err != nil {
			t.Error(err)
		}
	})
	return d
}

// quiet lets everything happen that can.
func (d *desk) quiet(t *testing.T) {
	t.Helper()
	if err := d.g.Run(testkit.Within(t), func() bool { return false }); !errors.Is(err, simlink.ErrQuiet) {
		t.Fatal(err)
	}
}

func stream(first byte, rest string) link.Frame {
	return link.Frame{Stream: append([]byte{first}, rest...)}
}

func TestAFrameIsOnItsWayForTheLatencyAndForItsLength(t *testing.T) {
	d := open(t, simlink.Config{Slots: 1, Latency: 10 * time.Microsecond, Bandwidth: 1e6})
	d.quiet(t) // a start, and 5 bytes of 1 µs each
	d.log = d.log[:1]
	begin := d.g.Now()
	d.g.Send(0, stream(50, "123456789"))
	d.quiet(t) // there in 10 + 10, held for 50, back in 10 + 10
	want := []string{"25µs 0 hello", fmt.Sprintf("%v 0 2123456789", begin+90*time.Microsecond)}
	if diff := cmp.Diff(want, d.log); diff != "" {
		t.Error(diff)
	}
}

func TestFramesOfOneWorkerStayInOrderHoweverTheirWayIs(t *testing.T) {
	d := open(t, simlink.Config{Slots: 3, Latency: time.Microsecond, Jitter: time.Millisecond, Seed: 7})
	var got [3][]string
	d.answer = func(w int, s string) { got[w] = append(got[w], s) }
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("\x01%02d", i))
		for w := range 3 {
			d.g.Send(w, stream(1, fmt.Sprintf("%02d", i)))
		}
	}
	d.quiet(t)
	for w := range got {
		if diff := cmp.Diff(append([]string{"hello"}, want...), got[w]); diff != "" {
			t.Errorf("worker %d: %s", w, diff)
		}
	}
}

func TestTheSameSeedGivesTheSameOrderAndAnotherSeedAnother(t *testing.T) {
	run := func(seed uint64) string {
		d := open(t, simlink.Config{Slots: 5, Latency: time.Microsecond, Jitter: 100 * time.Microsecond, Seed: seed})
		left := 200
		d.answer = func(w int, s string) {
			if left--; left > 0 {
				d.g.Send((w+left)%5, stream(byte(left), "x"))
			}
		}
		d.quiet(t)
		return strings.Join(d.log, "\n")
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Errorf("the same seed: %s", diff)
	}
	if first == run(2) {
		t.Error("another seed makes no difference")
	}
}

func TestALostWorkerIsReportedOnceAndBehindItsFrames(t *testing.T) {
	d := open(t, simlink.Config{Slots: 2, Latency: 10 * time.Microsecond})
	d.quiet(t)
	d.log = nil
	begin := d.g.Now()
	d.g.Send(0, stream(1, "done"))
	d.g.Send(0, stream(200, "held"))
	d.g.Lose(0, 100*time.Microsecond, errors.New("crash"))
	d.g.Send(1, stream(1, "well"))
	d.quiet(t)
	d.g.Send(0, stream(1, "nobody"))
	d.g.Kill(0, nil)
	d.quiet(t)
	// The second frame put the answers to both off.
	want := []string{fmt.Sprintf("%v 1 \x01well", begin+21*time.Microsecond), fmt.Sprintf("%v 0 lost: crash, 2", begin+110*time.Microsecond)}
	if diff := cmp.Diff(want, d.log); diff != "" {
		t.Error(diff)
	}
	d.log = nil
	d.g.Start(0)
	d.quiet(t)
	if len(d.log) != 1 || !strings.HasSuffix(d.log[0], "0 hello") {
		t.Errorf("after another start: %q", d.log)
	}
	d.log = nil
	d.g.Kill(0, errors.New("enough"))
	d.quiet(t)
	if len(d.log) != 1 || !strings.HasSuffix(d.log[0], "0 lost: enough, 0") {
		t.Errorf("after a kill: %q", d.log)
	}
}

func TestAMasterThatTakesTimeForEachFrameIsAQueue(t *testing.T) {
	d := open(t, simlink.Config{Slots: 4, Latency: 10 * time.Microsecond, Attention: time.Millisecond})
	d.quiet(t)
	want := []string{"20µs 0 hello", "1.02ms 1 hello", "2.02ms 2 hello", "3.02ms 3 hello"}
	if diff := cmp.Diff(want, d.log); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheMasterSpendsIsMeasuredByTheClockThatWasGiven(t *testing.T) {
	clock := time.Duration(0)
	d := open(t, simlink.Config{Slots: 2, Clock: func() time.Duration { return clock }})
	d.answer = func(w int, s string) {
		clock += time.Second
		if s == "hello" {
			d.g.Send(w, stream(0, "12"))
		}
	}
	d.quiet(t)
	if got, want := d.g.TakeSpent(), (simlink.Spent{Time: 4 * time.Second, Looks: 2, Received: 4, Sent: 2, Bytes: 2*5 + 4*3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := d.g.TakeSpent(); got != (simlink.Spent{}) {
		t.Errorf("taken twice: %+v", got)
	}
}

func TestAClosedGroupHasNoWorkersAndStartsNone(t *testing.T) {
	d := open(t, simlink.Config{Slots: 3})
	d.quiet(t)
	d.log = nil
	if err := d.g.Close(testkit.Within(t)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(d.log)
	if len(d.log) != 3 || !strings.HasSuffix(d.log[2], "lost: <nil>, 0") {
		t.Errorf("%q", d.log)
	}
	if _, err := d.g.Open(context.Background(), d); !errors.Is(err, link.ErrClosed) {
		t.Error(err)
	}
	d.g.Send(1, stream(1, "x"))
	d.quiet(t)
}

func TestAFrameByReferenceEndsTheWorkerThatItCannotReach(t *testing.T) {
	d := open(t, simlink.Config{Slots: 1})
	d.quiet(t)
	d.log = nil
	d.g.Send(0, link.Frame{Stream: []byte{1}, Local: 1})
	d.quiet(t)
	if len(d.log) != 1 || !strings.Contains(d.log[0], link.ErrLocal.Error()) {
		t.Errorf("%q", d.log)
	}
}

func TestRunWaitsForTheStartOfTheWorkersNoLongerThanItsContext(t *testing.T) {
	g := simlink.New(simlink.Config{Slots: 1, Worker: func(p *simlink.Port) simlink.Worker { return &clerk{p: p} }})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Run(ctx, func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
