package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Gangs are collected by the master alone, and its decisions depend on the order of what it hears. So a real master is taken through every
// order of what can happen to a table of few workers and few jobs. Each order is played from the beginning; one that leads to a table that was
// seen before is not followed any further.

// item is a job of a script.
type item struct {
	fn       uint32
	gang     int  // on so many workers; -1: on all
	oneHost  bool // of a gang
	canceled bool // it may be withdrawn, at any time
}

// The functions of scripts.
const (
	fnLong  = iota // measured, and long
	fnShort        // measured, and short
	fnNew          // never measured before
	fnGang
)

// table is a script, and what there is to play it with.
type table struct {
	name    string
	workers int
	hosts   []string // of the workers; nil: all on one
	fixed   bool     // a lost worker is not replaced
	losses  int
	fails   bool // the last member of a gang may fail
	items   []item
}

var tables = []table{
	{name: "two gangs side by side", workers: 4, items: []item{{fn: fnGang, gang: 2}, {fn: fnLong}, {fn: fnGang, gang: 2}, {fn: fnLong}}},
	{name: "a gang among tasks, and short ones", workers: 3, items: []item{{fn: fnLong}, {fn: fnGang, gang: 2}, {fn: fnShort}, {fn: fnLong}, {fn: fnNew}, {fn: fnShort}}},
	{name: "different sizes", workers: 3, items: []item{{fn: fnGang, gang: 3}, {fn: fnGang, gang: 2}, {fn: fnGang, gang: 1}, {fn: fnGang, gang: -1}, {fn: fnShort}}},
	{name: "withdrawn at any time", workers: 3, items: []item{{fn: fnLong}, {fn: fnGang, gang: 2, canceled: true}, {fn: fnGang, gang: 3, canceled: true}, {fn: fnShort}}},
	{name: "all, withdrawn at any time", workers: 2, items: []item{{fn: fnLong}, {fn: fnGang, gang: -1, canceled: true}, {fn: fnGang, gang: 2, canceled: true}, {fn: fnLong}}},
	{name: "a worker is lost and replaced", workers: 3, losses: 1, items: []item{{fn: fnLong}, {fn: fnGang, gang: 2}, {fn: fnShort}, {fn: fnGang, gang: 3}}},
	{name: "a worker is lost for good", workers: 3, fixed: true, losses: 1, items: []item{{fn: fnGang, gang: 2}, {fn: fnGang, gang: 3}, {fn: fnShort}, {fn: fnGang, gang: -1}}},
	{name: "a member fails", workers: 3, fails: true, items: []item{{fn: fnGang, gang: 2}, {fn: fnLong}, {fn: fnGang, gang: 3}}},
	{name: "on one host", workers: 4, hosts: []string{"a", "b", "a", "b"}, fixed: true, items: []item{{fn: fnLong}, {fn: fnLong}, {fn: fnGang, gang: 2, oneHost: true}, {fn: fnLong}, {fn: fnShort}}},
	{name: "on one host, of which a worker is lost", workers: 4, hosts: []string{"a", "a", "b", "b"}, fixed: true, losses: 1,
		items: []item{{fn: fnLong}, {fn: fnGang, gang: 2, oneHost: true}, {fn: fnGang, gang: 3}}},
}

// played is a table in the course of a play. It is the master's group.
type played struct {
	table
	m       *Master
	started chan int

	mu     sync.Mutex
	inbox  []link.Frame // what the first of slots was sent
	slots  []int        // that frames were sent to
	at     int          // next item
	lost   int
	jobs   []*tableJob
	seats  []tableSeat
	wrong  string
	first  *Job   // the gang that is first
	had    []bool // workers that run what they had when it came to be
	needed int
}

// tableSeat is a worker as it would see itself.
type tableSeat struct {
	away bool // it was lost, and its successor has not come
	left []tableUnit
}

type tableUnit struct {
	seq uint64
	fn  uint32
	of  uint64 // gang
}

// tableJob is an item that was submitted.
type tableJob struct {
	item
	job   *Job
	left  int // units, -1: not claimed
	ended bool
	out   bool  // withdrawn
	why   error // it was dropped
}

func (j *tableJob) Claim(_, n int) bool { j.left = n; return !j.out }
func (j *tableJob) Unclaim(int, int)    { j.left = -1 }
func (j *tableJob) Results(_, n int, _ []byte, _ [][]byte, _ *Record) bool {
	j.end(n)
	return false
}
func (j *tableJob) Part(int, Part)           { j.end(1) }
func (j *tableJob) Drop(_, _ int, why error) { j.left, j.ended, j.why = 0, true, why }
func (j *tableJob) end(n int) {
	if j.left -= n; j.left <= 0 {
		j.ended = true
	}
}

func (p *played) Traits() link.Traits {
	return link.Traits{Kind: "table", Replaces: !p.fixed, Kills: true, Spread: p.hosts != nil}
}
func (p *played) Open(context.Context, link.Handler) (int, error) { return p.workers, nil }
func (p *played) Start(slot int)                                  { p.started <- slot }
func (p *played) Kill(slot int, cause error)                      { p.complain("worker %d was ended: %v", slot, cause) }
func (p *played) Close(context.Context) error                     { return nil }
func (p *played) Send(slot int, f link.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbox, p.slots = append(p.inbox, f), append(p.slots, slot)
}

func (p *played) complain(format string, args ...any) {
	if p.wrong == "" {
		p.wrong = fmt.Sprintf(format, args...)
	}
}

// play begins a table.
func play(z table) *played {
	p := &played{table: z, started: make(chan int, 64), seats: make([]tableSeat, z.workers), had: make([]bool, z.workers)}
	p.m = New(Config{Group: p, Aside: func(f func()) { f() }, DecodeError: func(b []byte, _ uint32, _ int, _ Hello) error { return errors.New(string(b)) }})
	_ = p.m.Boot()
	for range z.workers {
		<-p.started
	}
	for slot := range z.workers {
		p.greet(slot)
	}
	for slot := range z.workers {
		p.ready(slot)
	}
	p.m.mu.Lock()
	for fn, ns := range map[uint32]float64{fnLong: 1e9, fnShort: 1e6} {
		t := p.m.times(fn)
		t.mean, t.measured = ns, true
	}
	p.m.mu.Unlock()
	p.settle()
	return p
}

func (p *played) greet(slot int) {
	host := "a"
	if p.hosts != nil {
		host = p.hosts[slot]
	}
	p.m.Receive(slot, link.Frame{Stream: Hello{Pid: 1, Rank: -1, Host: host}.append(nil)})
}

// ready has a worker be there, as one that has run something: when it is lost its successor comes at once.
func (p *played) ready(slot int) {
	p.m.Receive(slot, link.Frame{Stream: []byte{kindReady}})
	p.m.mu.Lock()
	p.m.workers[slot].served++
	p.m.mu.Unlock()
}

// settle has what was decided be done, and looks at it.
func (p *played) settle() {
	for {
		p.m.Flush()
		p.m.mu.Lock()
		busy := p.m.delivering > 0
		p.m.mu.Unlock()
		p.mu.Lock()
		frames, slots := p.inbox, p.slots
		p.inbox, p.slots = nil, nil
		p.mu.Unlock()
		for i, f := range frames {
			p.hear(slots[i], f)
		}
		if !busy && len(frames) == 0 {
			break
		}
		runtime.Gosched()
	}
	for {
		select {
		case <-p.started: // a successor, which comes up later
			continue
		default:
		}
		break
	}
	p.look()
}

// hear takes a frame in as a worker would.
func (p *played) hear(slot int, f link.Frame) {
	s := &p.seats[slot]
	r := reader{b: f.Stream[1:]}
	switch f.Stream[0] {
	case kindTasks:
		seq := r.uint()
		r.uint()
		var got []tableUnit
		for len(r.b) > 0 {
			h := r.run()
			for range h.units {
				got = append(got, tableUnit{seq: seq, fn: h.fn, of: h.gang})
				seq++
			}
			r.units(int(h.units), h.flags&runBuffers != 0)
			if h.flags&runGang != 0 {
				if len(s.left) > 0 {
					p.complain("worker %d was given a member of a gang while it had something else", slot)
				}
				if h.members.rank(slot) < 0 {
					p.complain("worker %d is given a unit of a gang that it is not in", slot)
				}
			}
		}
		if r.err != nil {
			p.complain("worker %d: %v", slot, r.err)
		}
		s.left = append(s.left, got...)
		if got[0].of == 0 && p.waits() && !p.elsewhere(slot) {
			p.passes(slot, got)
		}
		if got[0].of > 0 {
			p.m.Receive(slot, link.Frame{Stream: []byte{kindAlone}})
		}
	case kindGone, kindSetup, kindStop, kindCancel, kindPing:
	default:
		p.complain("worker %d hears %q", slot, f.Stream[0])
	}
}

// waits tells whether the gang that was first is first still.
func (p *played) waits() bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	b := p.m.queue.gangs
	return p.first != nil && len(b) > 0 && b[0].job == p.first
}

// elsewhere tells whether a worker is none for the gang that is first.
func (p *played) elsewhere(slot int) bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	b := p.m.queue.gangs
	return len(b) > 0 && b[0].host != "" && p.hosts[slot] != b[0].host
}

// measured tells whether the new function is new no longer.
func (p *played) measured() bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.m.times(fnNew).measured
}

// passes checks a frame that passes the gang that is first.
func (p *played) passes(slot int, got []tableUnit) {
	for _, u := range got {
		if u.fn != fnShort && (u.fn != fnNew || !p.measured()) {
			p.complain("worker %d was given something long, and a gang waits for it", slot)
		}
	}
	ended := 0 // workers that are free, or run what they were given since
	for i := range p.seats {
		if i != slot && !p.seats[i].away && !p.had[i] && !p.elsewhere(i) {
			ended++
		}
	}
	if ended+1 > p.needed {
		p.complain("worker %d was given something although %d workers have ended what they had, and the gang needs %d", slot, ended+1, p.needed)
	}
	if ended+1 == p.needed && p.had[slot] {
		p.complain("worker %d had something else", slot)
	}
}

// look notes which gang is first now, and what its workers have.
func (p *played) look() {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.trimGangs()
	var first *Job
	if len(p.m.queue.gangs) > 0 {
		first = p.m.queue.gangs[0].job
	}
	for i := range p.seats {
		if len(p.seats[i].left) == 0 {
			p.had[i] = false
		}
	}
	if first != p.first {
		p.first = first
		for i, s := range p.seats {
			p.had[i] = len(s.left) > 0
		}
	}
	if first != nil {
		if p.needed = first.more().Workers; p.needed == 0 {
			p.needed = p.m.intact()
		}
	}
	if n := 0; p.wrong == "" {
		for _, w := range p.m.workers {
			if w.filler {
				n++
			}
		}
		if n != p.m.fillers {
			p.complain("%d fillers are counted as %d", n, p.m.fillers)
		}
	}
}

// steps are what can happen now.
func (p *played) steps() (all []string) {
	if p.at < len(p.items) {
		all = append(all, "submit")
	}
	for i, s := range p.seats {
		switch {
		case s.away && !p.fixed:
			all = append(all, fmt.Sprint("come ", i))
		case len(s.left) > 0:
			all = append(all, fmt.Sprint("end ", i))
			if p.fails && s.left[0].of > 0 {
				all = append(all, fmt.Sprint("fail ", i))
			}
		}
		if !s.away && p.lost < p.losses {
			all = append(all, fmt.Sprint("lose ", i))
		}
	}
	for i, j := range p.jobs {
		if j.canceled && !j.out && !j.ended && j.left < 0 {
			all = append(all, fmt.Sprint("withdraw ", i))
		}
	}
	return all
}

// step has one of them happen.
func (p *played) step(name string) {
	verb, arg, _ := strings.Cut(name, " ")
	i := 0
	_, _ = fmt.Sscan(arg, &i)
	switch verb {
	case "submit":
		it := p.items[p.at]
		p.at++
		j := &tableJob{item: it, left: -1}
		j.job = &Job{Func: it.fn, Units: 1, Data: []byte{1, 0}, Sink: j}
		if it.gang != 0 {
			j.job.More = &More{Gang: true, Workers: max(it.gang, 0), OneHost: it.oneHost}
		}
		p.jobs = append(p.jobs, j)
		if err := p.m.Submit(j.job); err != nil {
			if j.ended = true; !errors.Is(err, ErrTooFew) {
				p.complain("%v", err)
			}
		}
	case "end", "fail":
		s := &p.seats[i]
		u := s.left[0]
		s.left = s.left[1:]
		b := binary.AppendUvarint([]byte{kindResults}, u.seq)
		if verb == "end" {
			b = append(b, 1<<2, 7)
		} else {
			b = append(b, entryPart, 0, 0, 0, partRest, 1, 'e')
		}
		ns := uint64(1e6)
		if u.fn == fnLong || u.fn == fnGang {
			ns = 1e9
		}
		p.m.Receive(i, link.Frame{Stream: binary.AppendUvarint(b, ns<<2|entryTime)})
	case "lose":
		p.lost++
		p.seats[i] = tableSeat{away: true}
		p.m.Lost(i, link.Loss{Err: errors.New("lost")})
	case "come":
		p.seats[i] = tableSeat{}
		p.greet(i)
		p.ready(i)
	case "withdraw":
		p.jobs[i].out, p.jobs[i].ended = true, true
		p.m.Cancelled(p.jobs[i].job)
	}
	p.settle()
}

// state is what the table looks like.
func (p *played) state() string {
	var b strings.Builder
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	fmt.Fprint(&b, p.at, p.lost, p.m.idle, p.m.queue.units, p.m.fillers, p.m.talking, p.m.times(fnNew).measured, p.had)
	for i, s := range p.seats {
		fmt.Fprint(&b, "|", s.away, p.m.workers[i].state, p.m.workers[i].filler)
		for _, u := range s.left {
			fmt.Fprint(&b, " ", u.fn, u.of)
		}
	}
	for _, j := range p.jobs {
		fmt.Fprint(&b, "/", j.left, j.ended, j.out)
	}
	for _, g := range p.m.queue.gangs {
		fmt.Fprint(&b, "+", slices.IndexFunc(p.jobs, func(j *tableJob) bool { return j.job == g.job }), g.host)
	}
	return b.String()
}

// over checks that nothing is left when nothing more can happen.
func (p *played) over() {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	for i, j := range p.jobs {
		if !j.ended {
			p.complain("job %d waits, and nothing can happen any more", i)
		}
	}
	here := 0
	for _, w := range p.m.workers {
		if w.state != dead {
			here++
		}
		if w.gang != nil || w.talks || w.asks || w.filler {
			p.complain("worker %d is still in a gang, or kept for one", w.slot)
		}
	}
	if len(p.m.idle) != here || p.m.talking+p.m.asking+p.m.fillers+len(p.m.queue.gangs)+p.m.flying+p.m.queue.units != 0 {
		p.complain("at the end %d of %d workers are idle, talking %d, asking %d, fillers %d, gangs %d, units out %d, in the queue %d", len(p.m.idle), here, p.m.talking,
			p.m.asking, p.m.fillers, len(p.m.queue.gangs), p.m.flying, p.m.queue.units)
	}
	s := p.m.stats
	if got := s.Done + s.Failed + s.Cancelled; got != s.Submitted {
		p.complain("%d units were submitted, and it is known of %d what became of them: %+v", s.Submitted, got, s)
	}
}

// end lets go of it.
func (p *played) end(t *testing.T) {
	if _, err := p.m.Shutdown(context.Background(), false, true); err != nil {
		t.Error(err)
	}
	for i, s := range p.seats {
		if !s.away {
			p.m.Lost(i, link.Loss{})
		}
	}
	<-p.m.Closed()
}

// orders goes through all orders of a table. It returns what is wrong with the first that is.
type orders struct {
	t     *testing.T
	table table
	seen  map[string]bool
	ends  int
}

func (o *orders) explore(path []string) (wrong string) {
	p := play(o.table)
	for _, s := range path {
		p.step(s)
	}
	key, next := p.state(), p.steps()
	if len(next) == 0 || len(next) == 1 && strings.HasPrefix(next[0], "lose") {
		o.ends++
		p.over()
	}
	p.end(o.t)
	switch {
	case p.wrong != "":
		return p.wrong + "\n  " + strings.Join(path, "\n  ")
	case o.seen[key]:
		return ""
	}
	o.seen[key] = true
	for _, s := range next {
		if w := o.explore(append(path[:len(path):len(path)], s)); w != "" {
			return w
		}
	}
	return ""
}

func TestInEveryOrderGangsAreCollectedAndNothingStaysReserved(t *testing.T) {
	for i, z := range tables {
		if testkit.Race && i%3 != 0 { // there is one goroutine, and the detector makes it slow
			continue
		}
		t.Run(z.name, func(t *testing.T) {
			o := &orders{t: t, table: z, seen: map[string]bool{}}
			if wrong := o.explore(nil); wrong != "" {
				t.Fatal(wrong)
			}
			if o.ends == 0 {
				t.Error("nothing comes to an end")
			}
			t.Logf("%d tables, of which %d are ends", len(o.seen), o.ends)
		})
	}
}
