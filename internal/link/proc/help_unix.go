//go:build unix

package proc

import "time"

// mostHelped is how many slots a waiting goroutine can poll: each is looked at again and again.
const mostHelped = 16

// A worker that has slept for long takes longer to wake than the looks that did not pay last allow for: the first one after
// a pause of leastRest takes up to mostRoused, which is a share of the time that does not matter.
const (
	leastRest  = 50 * time.Millisecond
	mostRoused = 300 * time.Microsecond
)

// Help looks after what the workers put into their rings, in the place of the goroutines that read the sockets, until done
// returns true or nothing has come for a while. A goroutine that waits for a result calls it: that saves two changes of thread. It does
// nothing while somebody else does it.
func (g *Group) Help(done func() bool) {
	if !g.slotted.Load() || len(g.slots) > mostHelped || done() || !g.helping.CompareAndSwap(false, true) {
		return
	}
	defer g.helping.Store(false)
	var all [mostHelped]*process
	n := 0
	for i := range g.slots {
		if p := g.slots[i].current.Load(); p != nil && p.attend(true) {
			all[n] = p
			n++
		}
	}
	if n > 0 {
		g.spin = spinFor(g.spin, g.look(all[:n], done))
	}
	for _, p := range all[:n] {
		p.attend(false)
	}
}

// look delivers what comes until done, which is true, or until it is not worth the while.
func (g *Group) look(all []*process, done func() bool) bool {
	begin := time.Now()
	spin := g.spin
	if g.early.Swap(false) {
		spin = mostSpin
	}
	if begin.Sub(g.helped) > leastRest {
		spin = mostRoused
	}
	last := begin
	defer func() { g.helped = last }()
	for n := 1; ; n++ {
		some, fetching := false, false
		for _, p := range all {
			s, f := p.tryDrain()
			some, fetching = some || s, fetching || f
		}
		switch {
		case some:
			if done() {
				return true
			}
			begin = time.Now()
			last = begin
		case n%16 == 0:
			if done() {
				return true
			}
			now := time.Now()
			if fetching && now.Sub(begin) < mostFetchSpin {
				last = now // what the worker does can begin only then
			}
			if now.Sub(last) > spin {
				since := last // a copy: last stays off the heap
				g.gaveUp.Store(&since)
				return false
			}
		}
	}
}

// tryDrain drains unless somebody delivers already. It tells whether there was anything, and whether the worker is about to
// fetch what it was shown.
func (p *process) tryDrain() (some, fetching bool) {
	if !p.slot.deliver.TryLock() {
		return false, false
	}
	defer p.slot.deliver.Unlock()
	some = p.drain()
	return some, p.showing != nil && p.showing.shown.Load() != p.showing.fetched.Load()
}

// attend tells the worker that somebody looks into its ring, or that nobody does any more. It returns false when there is
// no worker, or somebody delivers: that may take its time, and it may be the caller itself.
func (p *process) attend(on bool) bool {
	if !p.slot.deliver.TryLock() {
		if !on {
			go func() {
				p.slot.deliver.Lock()
				defer p.slot.deliver.Unlock()
				p.leave()
			}()
		}
		return false
	}
	defer p.slot.deliver.Unlock()
	if p.ring == nil {
		return false
	}
	if on {
		p.ring.awake.Store(1)
	} else {
		p.leave()
	}
	return true
}

// leave is the end of attention. The caller holds slot.deliver.
func (p *process) leave() {
	if p.ring != nil {
		p.ring.awake.Store(0)
		p.drain() // what is put in from now on comes with a wake
	}
}
