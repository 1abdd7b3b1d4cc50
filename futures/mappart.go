package futures

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// mapPart is the sink of one job of a mapping.
type mapPart[A, R any] struct {
	reading reading // for the race detector
	r       *mapping[A, R]
	base    int             // number of the job's first element
	count   int             // how many elements it has
	keys    []resultlog.Key // of the elements, in a journal; nil without one
	args    []A             // of a local job
	values  []R
	mu      sync.Mutex
	local   map[int]*outcome // of local units that have not succeeded as a whole
}

// outcome is how far a unit has come that runs by reference, and what has failed of it.
type outcome struct {
	at     int // the element that runs
	failed []failure
}

// failure is some consecutive elements of a unit that have failed.
type failure struct {
	at, n int
	err   error
}

// inMap is for the status of the worker that runs something of the job.
func (p *mapPart[A, R]) inMap() (number, base int) { return p.r.tally.number, p.base }

// elements returns the number of the first element of some units, and how many they have.
func (p *mapPart[A, R]) elements(first, n, total int) (int, int) {
	from := first * p.r.chunk
	return p.base + from, min(total, from+n*p.r.chunk) - from
}

// Claim implements dispatch.Sink: the job of a [Map] is withdrawn, never refused.
func (p *mapPart[A, R]) Claim(int, int) bool { return true }

// Unclaim implements dispatch.Sink: what local units may have left behind that run again is forgotten.
func (p *mapPart[A, R]) Unclaim(first, n int) {
	if p.args == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for unit := first; unit < first+n && len(p.local) > 0; unit++ {
		delete(p.local, unit)
	}
}

// Results implements dispatch.Sink.
func (p *mapPart[A, R]) Results(first, n int, data []byte, segments [][]byte, _ *dispatch.Record) bool {
	p.reading.join()
	from, count := p.elements(first, n, p.count)
	if p.keys != nil {
		p.record(from-p.base, count, data, segments)
	}
	a := incoming{first: from, n: count, units: n, base: p.base, data: data, segs: segments}
	if a.local = p == p.r.whole; p.args != nil && !a.local {
		a.values = p.values[from-p.base : from-p.base+count]
	}
	return !p.r.arrive(a)
}

// record records the results of n elements from one on.
func (p *mapPart[A, R]) record(from, n int, data []byte, segments [][]byte) {
	keys := p.keys[from : from+n]
	if p.args != nil {
		p.r.tells.values(keys, p.values[from:from+n])
		return
	}
	p.r.tells.results(keys, data, segments)
}

// recordPart records what has become of an element that does not come with others.
func (p *mapPart[A, R]) recordPart(element int, part dispatch.Part) {
	switch key := p.keys[element]; {
	case part.Failed > 0 && part.Err != nil:
		p.r.tells.failed(key, part.Err)
	case part.Done == 1 && p.args == nil && key != unrecorded:
		p.r.tells.log.Record(p.r.tells.of, key, part.Data, part.Segments)
	}
}

// Part implements dispatch.Sink.
func (p *mapPart[A, R]) Part(unit int, part dispatch.Part) {
	p.reading.join()
	from, _ := p.elements(unit, 1, p.count)
	if p.args != nil && part.Err == nil {
		p.localParts(unit)
		return
	}
	if p.keys != nil {
		p.recordPart(from-p.base, part)
	}
	a := incoming{first: from + part.At, n: part.Done, base: p.base, data: part.Data, segs: part.Segments, raw: true, failed: part.Failed, err: part.Err}
	if part.Last {
		a.units = 1
	}
	p.r.arrive(a)
}

// localParts tells the mapping what has become of the elements of a unit that has run by reference.
func (p *mapPart[A, R]) localParts(unit int) {
	from, n := p.elements(unit, 1, p.count)
	p.mu.Lock()
	failed := p.outcome(unit).failed
	delete(p.local, unit)
	p.mu.Unlock()
	if p.keys != nil && len(failed) > 0 {
		p.r.tells.failed(p.keys[from-p.base], failed[0].err)
	}
	at := 0
	for _, f := range append(failed, failure{at: n}) {
		a := incoming{first: from + at, n: f.at - at, base: p.base, raw: true, failed: f.n, err: f.err}
		if a.n > 0 {
			a.values = p.values[a.first-p.base : a.first-p.base+a.n]
		}
		if at = f.at + f.n; at == n {
			a.units = 1
		}
		if a.n+a.failed > 0 {
			p.r.arrive(a)
		}
	}
}

// Drop implements dispatch.Sink.
func (p *mapPart[A, R]) Drop(first, n int, why error) {
	if errors.Is(why, dispatch.ErrDropped) {
		why = ErrCancelled
	}
	p.reading.join()
	from, _ := p.elements(first, n, p.count)
	p.r.arrive(incoming{first: from, units: n, raw: true, err: why})
}

// Run implements dispatch.Local.
func (p *mapPart[A, R]) Run(ctx context.Context, u *dispatch.Units) bool {
	if p.r.chunk == 1 {
		return p.runSingly(ctx, u)
	}
	for {
		if !p.runChunk(ctx, u.Unit) {
			return false
		}
		if !u.Next() {
			return true
		}
	}
}

// runSingly is Run for units of one element.
func (p *mapPart[A, R]) runSingly(ctx context.Context, u *dispatch.Units) bool {
	args, values, call := p.args, p.values[:len(p.args)], p.r.fn.call
	for {
		v, err := call(ctx, args[u.Unit])
		if err != nil {
			p.fail(u.Unit, 0, 1, overTime(ctx, err))
			return false
		}
		values[u.Unit] = v
		if !u.Next() {
			return true
		}
	}
}

// runChunk runs the elements of one unit, from the one on at which it stands. It returns false if any has failed.
func (p *mapPart[A, R]) runChunk(ctx context.Context, unit int) (ok bool) {
	from, n := p.elements(unit, 1, p.count)
	from -= p.base
	at, ok := p.begin(unit)
	returned := false
	defer func() {
		if !returned {
			p.stand(unit, at)
		}
	}()
	for ; at < n; at++ {
		if at > 0 && p.r.left.Load() {
			p.fail(unit, at, n-at, context.Canceled)
			ok = false
			break
		}
		v, err := p.r.fn.call(ctx, p.args[from+at])
		if err != nil {
			ok = false
			rest := 1
			if err = overTime(ctx, err); ctx.Err() != nil { // the time is the chunk's
				rest = n - at
			}
			p.fail(unit, at, rest, err)
			at += rest - 1
			continue
		}
		p.values[from+at] = v
	}
	returned = true
	return ok
}

// begin returns the element at which a unit stands, and whether none has failed so far.
func (p *mapPart[A, R]) begin(unit int) (at int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.local[unit]; o != nil {
		return o.at, len(o.failed) == 0
	}
	return 0, true
}

// outcome returns what is known of a unit. The lock is held.
func (p *mapPart[A, R]) outcome(unit int) *outcome {
	o := p.local[unit]
	if o == nil {
		if p.local == nil {
			p.local = map[int]*outcome{}
		}
		o = new(outcome)
		p.local[unit] = o
	}
	return o
}

// stand notes the element whose call does not return.
func (p *mapPart[A, R]) stand(unit, at int) {
	p.mu.Lock()
	p.outcome(unit).at = at
	p.mu.Unlock()
}

// fail notes the failure of n elements of a unit.
func (p *mapPart[A, R]) fail(unit, at, n int, err error) {
	p.mu.Lock()
	o := p.outcome(unit)
	o.failed = append(o.failed, failure{at, n, err})
	o.at = at + n
	p.mu.Unlock()
	if p.r.failFast != nil && p.r.chunk > 1 { // the rest of the chunk may take long
		p.r.mu.Lock()
		p.r.failAt(p.base+unit*p.r.chunk+at, err)
		p.r.mu.Unlock()
		p.r.wake()
	}
}

// NeedsContext implements dispatch.Local.
func (p *mapPart[A, R]) NeedsContext() bool { return p.r.fn.context }

// Failures implements dispatch.Local.
func (p *mapPart[A, R]) Failures(unit int, f func(int, error)) {
	p.mu.Lock()
	var failed []failure
	if o := p.local[unit]; o != nil {
		failed = slices.Clone(o.failed)
	}
	p.mu.Unlock()
	for _, one := range failed {
		f(one.at, one.err)
	}
}

// Failed implements dispatch.Local.
func (p *mapPart[A, R]) Failed(unit int, err error) (more bool) {
	_, n := p.elements(unit, 1, p.count)
	at, _ := p.begin(unit)
	p.fail(unit, at, 1, err)
	return at+1 < n
}
