package dispatch

import (
	"errors"
	"slices"
	"testing"
)

// take has a table go through steps, and looks at nothing.
func (z table) take(t *testing.T, steps ...string) *played {
	t.Helper()
	p := play(z)
	t.Cleanup(func() { p.end(t) })
	for _, s := range steps {
		p.step(s)
	}
	return p
}

// has tells which functions a worker has units of.
func (p *played) has(slot int) (fns []uint32) {
	for _, u := range p.seats[slot].left {
		fns = append(fns, u.fn)
	}
	return fns
}

func TestOnlyWhatHasProvenShortIsGivenToAWorkerThatAGangWaitsFor(t *testing.T) {
	p := table{workers: 3, items: []item{{fn: fnLong}, {fn: fnLong}, {fn: fnGang, gang: 2}, {fn: fnShort}, {fn: fnNew}, {fn: fnShort}}}.take(t,
		"submit", "submit", "submit", "submit", "submit", "submit")
	if got := p.has(2); !slices.Equal(got, []uint32{fnShort}) {
		t.Errorf("the free worker was given %v", got)
	}
	p.step("end 2")
	if got := p.has(2); got != nil { // the next of the flow has not been measured
		t.Errorf("the free worker was given %v", got)
	}
	p.step("end 0")
	if a, b := p.has(0), p.has(2); !slices.Equal(a, []uint32{fnGang}) || !slices.Equal(b, a) {
		t.Errorf("the members have %v and %v", a, b)
	}
	if p.wrong != "" {
		t.Error(p.wrong)
	}
}

func TestNothingMoreIsGivenToTheWorkersOfAGangOnceTheyAreEnough(t *testing.T) {
	p := table{workers: 2, items: []item{{fn: fnLong}, {fn: fnLong}, {fn: fnGang, gang: 2}, {fn: fnShort}, {fn: fnShort}, {fn: fnShort}}}.take(t,
		"submit", "submit", "submit", "submit", "submit", "submit", "end 0")
	if got := p.has(0); !slices.Equal(got, []uint32{fnShort}) {
		t.Errorf("the first worker that is free was given %v", got)
	}
	if p.step("end 1"); p.has(1) != nil {
		t.Errorf("the gang has a free worker and one that runs something short, and the other was given %v", p.has(1))
	}
	if p.step("end 0"); !slices.Equal(p.has(0), []uint32{fnGang}) || !slices.Equal(p.has(1), []uint32{fnGang}) {
		t.Errorf("the members have %v and %v", p.has(0), p.has(1))
	}
}

// A stream of short tasks has its turn between gangs, and a gang between them.
func TestAGangIsNotStarvedByShortTasksOfAMap(t *testing.T) {
	p := play(table{workers: 2, items: []item{{fn: fnLong}, {fn: fnGang, gang: 2}}})
	t.Cleanup(func() { p.end(t) })
	p.step("submit")
	p.step("submit")
	j := &tableJob{left: -1}
	j.job = &Job{Func: fnShort, Units: 1000, Sink: j, More: &More{Flow: new(Flow)}}
	for range j.job.Units {
		j.job.Data = append(j.job.Data, 1, 0)
	}
	if err := p.m.Submit(j.job); err != nil {
		t.Fatal(err)
	}
	p.settle()
	for range 100 { // while the first worker is at its long task
		if got := p.has(1); !slices.Equal(got, []uint32{fnShort}) {
			t.Fatalf("the free worker has %v", got)
		}
		p.step("end 1")
	}
	p.step("end 0")
	p.step("end 1")
	if !slices.Equal(p.has(0), []uint32{fnGang}) || !slices.Equal(p.has(1), []uint32{fnGang}) {
		t.Errorf("the members have %v and %v", p.has(0), p.has(1))
	}
	p.m.Withdraw(j.job)
}

func TestAGangThatIsCancelledIsNotCharged(t *testing.T) {
	p := table{workers: 2, items: []item{{fn: fnLong}, {fn: fnLong}, {fn: fnGang, gang: 2, canceled: true}}}.take(t, "submit", "submit")
	j := &tableJob{left: -1}
	j.job = &Job{Func: fnLong, Units: 2, Data: []byte{1, 0, 1, 0}, Sink: j, More: &More{Flow: new(Flow)}}
	if err := p.m.Submit(j.job); err != nil {
		t.Fatal(err)
	}
	p.step("submit")
	for i := 0; p.first == nil && i < 3; i++ { // until it is the turn of the gang's flow
		p.step("end 0")
	}
	had := func() float64 {
		p.m.mu.Lock()
		defer p.m.mu.Unlock()
		return p.m.queue.fair.usual.calls.time
	}
	with, price := had(), float64(p.m.queue.gangs[0].price)
	p.step("withdraw 2")
	if without := had(); price == 0 || without != with-2*price {
		t.Errorf("its flow had %v, with a gang of 2 for %v each; now %v", with, price, without)
	}
}

func TestTheMembersOfAGangAreOnOneHostIfTheyFit(t *testing.T) {
	on := func(hosts []string, sizes ...int) (members [][]int) {
		z := table{workers: len(hosts), hosts: hosts, fixed: true}
		var steps []string
		for _, k := range sizes {
			z.items, steps = append(z.items, item{fn: fnGang, gang: k}), append(steps, "submit")
		}
		p := z.take(t, steps...)
		members = make([][]int, len(sizes))
		for slot, s := range p.seats {
			if len(s.left) > 0 {
				members[s.left[0].of-1] = append(members[s.left[0].of-1], slot)
			}
		}
		return members
	}
	mixed := []string{"a", "b", "b", "a", "b"}
	for _, c := range []struct {
		sizes []int
		want  [][]int
	}{
		{[]int{2, 3}, [][]int{{0, 3}, {1, 2, 4}}}, // the host with the fewest that are enough
		{[]int{3, 2}, [][]int{{1, 2, 4}, {0, 3}}},
		{[]int{4}, [][]int{{0, 1, 2, 4}}}, // the host with the most, and then others
	} {
		if got := on(mixed, c.sizes...); !slices.EqualFunc(got, c.want, slices.Equal[[]int]) {
			t.Errorf("gangs of %v are on %v, want %v", c.sizes, got, c.want)
		}
	}
}

func TestAGangForOneHostIsRefusedIfNoneHasAsManyWorkers(t *testing.T) {
	p := table{workers: 5, hosts: []string{"a", "b", "b", "a", "b"}, fixed: true}.take(t)
	j := &Job{Units: 1, More: &More{Gang: true, Workers: 4, OneHost: true}, Data: []byte{1, 0}}
	err, want := p.m.Submit(j), "4 workers are wanted on one host, and no host has more than 3"
	if !errors.Is(err, ErrTooFew) || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestAGangOfMoreWorkersThanAreLeftFailsAndSaysHowManyWereLost(t *testing.T) {
	p := table{workers: 3, fixed: true, losses: 1, items: []item{{fn: fnLong}, {fn: fnGang, gang: 3}}}.take(t, "submit", "submit", "lose 2")
	if j := p.jobs[1]; !j.ended || j.why == nil || j.why.Error() != "3 workers are wanted at once, and there are 2: 1 were lost" {
		t.Errorf("it has ended: %v, %v", j.ended, j.why)
	}
}

func TestATeamTravelsAndKnowsItsRanks(t *testing.T) {
	for _, slots := range [][]int{{0}, {0, 1, 2}, {3}, {1, 2, 5, 6, 7, 9}, {0, 2, 4}} {
		r := reader{b: append(teamOf(slots).append(nil), 7)}
		got := r.team()
		if r.err != nil || len(r.b) != 1 || got.size() != len(slots) {
			t.Fatalf("%v came as %v, %v", slots, got, r.err)
		}
		for rank, slot := range slots {
			if got.slot(rank) != slot || got.rank(slot) != rank {
				t.Errorf("of %v, rank %d has slot %d, and slot %d rank %d", slots, rank, got.slot(rank), slot, got.rank(slot))
			}
		}
		if got.slot(len(slots)) != -1 || got.rank(8) != slices.Index(slots, 8) {
			t.Errorf("of %v, what is not there: %d, %d", slots, got.slot(len(slots)), got.rank(8))
		}
		for _, slot := range got.absent(10) {
			if slices.Contains(slots, slot) {
				t.Errorf("%d is absent from %v", slot, slots)
			}
		}
	}
}
