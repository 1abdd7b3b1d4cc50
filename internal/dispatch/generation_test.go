package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
	"github.com/rankpool/rankpool/internal/testkit"
)

// keptValues are the values of a process, which only notes what it is told.
type keptValues struct {
	mu     sync.Mutex
	log    []string
	forgot chan struct{} // gets one for each Forget
}

type generationKey struct{}

func (k *keptValues) note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf(format, args...))
}

func (k *keptValues) Add(number uint64, values []dispatch.Received) {
	s := fmt.Sprint("add ", number)
	for _, v := range values {
		if v.From > 0 {
			s += fmt.Sprint(", ", v.Name, " of ", v.From)
		} else {
			s += fmt.Sprint(", ", v.Name, " ", string(v.Stream), " ", string(slices.Concat(v.Segments...)))
		}
	}
	k.note("%s", s)
}

func (k *keptValues) Forget(number uint64) {
	k.note("forget %d", number)
	k.forgot <- struct{}{}
}

func (k *keptValues) Context(tasks context.Context, number uint64, _ any) (context.Context, error) {
	if number == 13 {
		return nil, errors.New("no such luck")
	}
	return context.WithValue(tasks, generationKey{}, number), nil
}

// told returns what was noted since the last call.
func (k *keptValues) told() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	log := k.log
	k.log = nil
	return log
}

// household is a master over one process with so many slots.
type household struct {
	*dispatch.Master
	*keptValues
	t    *testing.T
	gate chan struct{} // calls of 0 wait for it
	in   chan struct{} // and say that they do
}

func newHousehold(t *testing.T, slots int) *household {
	h := &household{keptValues: &keptValues{forgot: make(chan struct{}, 100)}, t: t, gate: make(chan struct{}), in: make(chan struct{}, 100)}
	svc := dispatch.Service{
		Function: func(uint32) dispatch.Body {
			return function{func(ctx context.Context, x uint64) (uint64, error) {
				if x == 0 {
					h.in <- struct{}{}
					<-h.gate
				}
				number, _ := ctx.Value(generationKey{}).(uint64)
				return number, nil
			}, true}
		},
		Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
		Values:      func() dispatch.Values { return h.keptValues },
	}
	h.Master = dispatch.New(dispatch.Config{
		Group: loopback.New(loopback.Config{
			Slots: slots, Traits: &link.Traits{Kind: "ranks", Slots: slots}, Serve: func(ep link.Endpoint) { _ = dispatch.Serve(ep, svc) },
		}),
		DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if _, err := h.Shutdown(ctx, true, true); err != nil {
			t.Error(err)
		}
	})
	return h
}

// submit submits a call that needs a generation.
func (h *household) submit(g *dispatch.Generation, x uint64) *sink {
	h.t.Helper()
	j, s := job(0, x)
	j.More = g.Plain()
	if err := h.Submit(j); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// found is what a call has found that needs a generation.
func (h *household) found(s *sink, want uint64) {
	h.t.Helper()
	s.wait(h.t)
	if s.errs[0] != nil || !slices.Equal(s.got[0], []uint64{want}) {
		h.t.Errorf("it found %v, %v, and needs %d", s.got[0], s.errs[0], want)
	}
}

func (h *household) tells(want ...string) {
	h.t.Helper()
	if got := h.told(); !slices.Equal(got, want) {
		h.t.Errorf("the process was told %q, not %q", got, want)
	}
}

var (
	valueA  = &dispatch.Value{Name: "a", Stream: []byte("A"), Segments: [][]byte{[]byte("large"), []byte("A")}}
	valueB  = &dispatch.Value{Name: "b", Stream: []byte("B")}
	valueA2 = &dispatch.Value{Name: "a", Stream: []byte("A2")}
)

func TestAProcessIsSentAValueOnceAndForgetsAGenerationThatNothingNeeds(t *testing.T) {
	h := newHousehold(t, 1)
	one, two := dispatch.NewGeneration(1, []*dispatch.Value{valueA}, nil), dispatch.NewGeneration(2, []*dispatch.Value{valueA, valueB}, nil)
	three := dispatch.NewGeneration(3, []*dispatch.Value{valueA2, valueB}, nil)
	for range 3 {
		h.found(h.submit(nil, 1), 0)
	}
	h.tells()
	h.found(h.submit(one, 1), 1)
	h.tells("add 1, a A largeA")
	h.found(h.submit(one, 1), 1)
	h.found(h.submit(nil, 1), 0)
	h.found(h.submit(one, 1), 1)
	h.tells()
	h.found(h.submit(two, 1), 2)
	h.tells("add 2, a of 1, b B ", "forget 1")
	h.found(h.submit(one, 1), 1) // after all
	h.tells("add 1, a of 2")
	h.found(h.submit(three, 1), 3)
	h.tells("add 3, a A2 , b of 2", "forget 1", "forget 2")
}

func TestAGenerationIsKeptAsLongAsSomethingNeedsItThatWaits(t *testing.T) {
	h := newHousehold(t, 1)
	one, two := dispatch.NewGeneration(1, []*dispatch.Value{valueA}, nil), dispatch.NewGeneration(2, []*dispatch.Value{valueA2}, nil)
	first := h.submit(nil, 0)
	<-h.in
	all := []*sink{h.submit(one, 1), h.submit(two, 1), h.submit(one, 1), h.submit(two, 1), h.submit(two, 1)}
	close(h.gate)
	h.found(first, 0)
	for i, want := range []uint64{1, 2, 1, 2, 2} {
		h.found(all[i], want)
	}
	h.found(h.submit(two, 1), 2) // nothing of the other is left
	h.tells("add 1, a A largeA", "add 2, a A2 ", "forget 1")
}

func TestTheSlotsOfAProcessAreSentAGenerationOnceForAll(t *testing.T) {
	h := newHousehold(t, 3)
	one, two := dispatch.NewGeneration(1, []*dispatch.Value{valueA}, nil), dispatch.NewGeneration(2, []*dispatch.Value{valueA2}, nil)
	old := h.submit(one, 0)
	<-h.in
	var all []*sink
	for range 2 {
		all = append(all, h.submit(two, 0))
		<-h.in
	}
	close(h.gate)
	h.found(old, 1)
	for _, s := range all {
		h.found(s, 2)
	}
	h.found(h.submit(two, 1), 2)
	await(t, h.forgot, "word to the first slot") // which may not be the one that has run the call
	h.tells("add 1, a A largeA", "add 2, a A2 ", "forget 1")
}

func TestUnitsWhoseGenerationCannotBeHadFailWithTheReason(t *testing.T) {
	h := newHousehold(t, 1)
	for range 2 {
		s := h.submit(dispatch.NewGeneration(13, []*dispatch.Value{valueA}, nil), 1)
		s.wait(t)
		if err := s.errs[0]; err == nil || err.Error() != "no such luck" {
			t.Error(err)
		}
	}
	h.found(h.submit(nil, 1), 0)
}

// One slot has the process forget what another has used last.
func TestASlotIsSentAgainWhatWasForgottenForAnother(t *testing.T) {
	h := newHousehold(t, 2)
	one, two := dispatch.NewGeneration(1, []*dispatch.Value{valueA}, nil), dispatch.NewGeneration(2, []*dispatch.Value{valueA2}, nil)
	var both []*sink
	for range 2 { // one on each slot
		both = append(both, h.submit(one, 0))
		<-h.in
	}
	for range both {
		h.gate <- struct{}{}
	}
	for _, s := range both {
		h.found(s, 1)
	}
	last := h.submit(two, 0)
	<-h.in
	await(t, h.forgot, "word to the first slot")
	h.found(h.submit(one, 1), 1) // the other slot
	h.gate <- struct{}{}
	h.found(last, 2)
	var told []string
	testkit.Until(t, "what the first slot is told", func() bool { told = append(told, h.told()...); return len(told) >= 4 })
	if want := []string{"add 1, a A largeA", "add 2, a A2 ", "forget 1", "add 1, a A largeA"}; !slices.Equal(told, want) {
		t.Errorf("the process was told %q, not %q", told, want)
	}
}

// What is still needed keeps nothing else.
func TestAGenerationThatIsNeededForLongKeepsNoOther(t *testing.T) {
	h := newHousehold(t, 2)
	all := make([]*dispatch.Generation, 6)
	for i := range all {
		all[i] = dispatch.NewGeneration(uint64(i+1), []*dispatch.Value{{Name: "a", Stream: fmt.Append(nil, i)}}, nil)
	}
	long := h.submit(all[0], 0)
	<-h.in
	for i, g := range all[1:] {
		h.found(h.submit(g, 1), uint64(i+2))
	}
	h.gate <- struct{}{}
	h.found(long, 1)
	for range 4 {
		await(t, h.forgot, "word to the first slot")
	}
	told := strings.Join(h.told(), ", ")
	for i := 2; i < 6; i++ {
		if !strings.Contains(told, fmt.Sprint("forget ", i)) {
			t.Errorf("generation %d is kept: %s", i, told)
		}
	}
}
