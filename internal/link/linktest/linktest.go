// Package linktest is the suite that every link.Group must pass.
//
// A test of a group calls Run; the group's workers, wherever they run, call Worker.
package linktest

import (
	"context"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/testkit"
)

// patience is how long the suite waits for what must happen. Nothing waits that long when the group is right.
var patience = testkit.Limit

// Harness is a kind of group as the suite needs it.
type Harness struct {
	// New returns a group with that many slots, not opened yet, whose workers run Worker. The suite closes it.
	New func(slots int) link.Group

	// Proof tells that the journal of a worker that ends by itself is salvaged.
	Proof bool

	// Small leaves out the frames of 64 MiB, for machines with little memory.
	Small bool
}

// A test is one promise of the interface.
type test struct {
	name string
	run  func(*testing.T, Harness)
}

// Run runs the suite, and for a group that is a link.Helper once more while goroutines help it. It calls newHarness once per test.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	tests := []test{
		{"frames arrive in order", testOrder},
		{"empty frames and empty segments arrive", testEmpty},
		{"large segments arrive both ways", testLargeSegments},
		{"many segments in one frame arrive", testManySegments},
		{"a stream may be larger than any buffer", testLargeStream},
		{"received segments are aligned and owned", testOwnership},
		{"send does not block while the worker does not read", testSendNeverBlocks},
		{"both sides may send large frames at once", testBothWays},
		{"a worker's concurrent sends stay whole", testConcurrentWorkerSends},
		{"many goroutines may send to many slots", testConcurrentSends},
		{"an echo under stress returns what was sent", testStress},
		{"a worker that closes is lost without an error", testGoodEnd},
		{"frames arrive before the loss and the loss once", testFramesBeforeLoss},
		{"a panic is a loss", testPanic},
		{"the journal is salvaged", testJournal},
		{"kill ends a busy worker", testKillBusy},
		{"kill ends an idle worker", testKillIdle},
		{"kill right after start", testKillEarly},
		{"a slot can be started again", testRestart},
		{"calls about an empty slot do nothing", testEmptySlot},
		{"close ends everything and may be repeated", testClose},
		{"close delivers what was queued before", testCloseDelivers},
		{"close is bounded by its context", testCloseBound},
		{"open fails after close", testOpenAfterClose},
		{"close may overtake open", testOpenWhileClosing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, newHarness(t)) })
	}
	if !isHelper(t, newHarness(t)) {
		return
	}
	for _, test := range helpTests {
		t.Run(test.name, func(t *testing.T) { test.run(t, newHarness(t)) })
	}
	t.Run("while goroutines that wait help", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				h := newHarness(t)
				alone := h.New
				h.New = func(slots int) link.Group { return &helped{helper: alone(slots).(helper)} }
				test.run(t, h)
			})
		}
	})
}

// isHelper tells whether goroutines that wait can look after a kind of group.
func isHelper(t *testing.T, h Harness) bool {
	g := h.New(1)
	if err := g.Close(t.Context()); err != nil {
		t.Errorf("Close before Open: %v", err)
	}
	_, ok := g.(link.Helper)
	return ok
}

// fixture is an open group with a recorder, closed by the test's cleanup.
type fixture struct {
	link.Group
	*recorder
	t   *testing.T
	dir string // for the files that release workers
}

func open(t *testing.T, h Harness, slots int) *fixture {
	t.Helper()
	g := h.New(slots)
	r := newRecorder(t, slots)
	dir := t.TempDir() // removed after the group is closed: workers look for files there until they end
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := g.Open(ctx, r)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	fx := &fixture{Group: g, recorder: r, t: t, dir: dir}
	t.Cleanup(fx.close)
	if n != slots {
		t.Fatalf("Open made %d slots, want %d", n, slots)
	}
	return fx
}

// started is open with every slot started.
func started(t *testing.T, h Harness, slots int) *fixture {
	t.Helper()
	fx := open(t, h, slots)
	for w := range slots {
		fx.Start(w)
	}
	return fx
}

// Start counts, so that the end of the test can compare.
func (fx *fixture) Start(w int) {
	fx.recorder.mu.Lock()
	fx.starts[w]++
	fx.recorder.mu.Unlock()
	fx.Group.Start(w)
}

func (fx *fixture) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := fx.Close(ctx); err != nil {
		fx.t.Errorf("Close: %v", err)
	}
	fx.checkCounts()
}
