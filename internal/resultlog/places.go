package resultlog

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Place is that of a call among those that were submitted with the same key. The zero value is none.
type Place struct {
	of Key
	n  int64 // how many calls with the key were before it
}

// given is the places that were given back and not counted yet. Who gives one back tells of a failure, and waits for no file: the lock of the keys may be held by
// somebody who does. So a goroutine counts them, or whoever submits next.
type given struct {
	mu     sync.Mutex
	places []Place
	some   atomic.Bool // there are any
	closed bool
}

// giveBack has the next call that is submitted with the key of a place get that.
func (x *keys) giveBack(p Place) {
	g := &x.given
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.places = append(g.places, p)
	if !g.some.Swap(true) {
		x.work.Go(func() {
			x.mu.Lock()
			x.takeBack()
			x.unlock()
		})
	}
}

// take returns what was given back.
func (g *given) take() []Place {
	g.mu.Lock()
	defer g.mu.Unlock()
	places := g.places
	g.places = nil
	g.some.Store(false)
	return places
}

// close has no more taken.
func (g *given) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// takeBack counts the places that were given back. The lock is held. The last place of a key makes its count less, and takes no memory; so do those before it, when it is their
// turn to be the last.
func (x *keys) takeBack() {
	if !x.given.some.Load() {
		return
	}
	for _, p := range x.given.take() {
		s, err := x.get(p.of)
		if err != nil { // the place stays empty
			x.unread(err)
			continue
		}
		free := x.free[p.of].add(p.n)
		if last := len(free) - 1; free[last].to == s.offset() {
			x.count(p.of, free[last].from)
			free = free[:last]
		}
		x.keep(p.of, free)
	}
}

// again returns the first place of a key that was given back, if there is one below its count. The lock is held.
func (x *keys) again(k Key) (n int64, ok bool) {
	free := x.free[k]
	if len(free) == 0 {
		return 0, false
	}
	n = free[0].from
	if free[0].from++; free[0].from == free[0].to {
		free = free[1:]
	}
	x.keep(k, free)
	return n, true
}

// keep notes what of the places of a key is left.
func (x *keys) keep(k Key, free spans) {
	if len(free) == 0 {
		delete(x.free, k)
		return
	}
	if x.free == nil {
		x.free = map[Key]spans{}
	}
	x.free[k] = free
}

// spans are numbers, in runs that do not touch, in order. Calls mostly end in the order in which they were submitted, so there are few.
type spans []span

type span struct{ from, to int64 } // to is not in it

// add adds a number that is not there.
func (s spans) add(n int64) spans {
	i, _ := slices.BinarySearchFunc(s, n, func(one span, n int64) int { return int(min(max(one.to-n, -1), 1)) }) // the first that ends there, or behind it
	before := i < len(s) && s[i].to == n
	next := i
	if before {
		next++
	}
	behind := next < len(s) && s[next].from == n+1
	switch {
	case before && behind:
		s[i].to = s[next].to
		return slices.Delete(s, next, next+1)
	case before:
		s[i].to++
	case behind:
		s[next].from--
	default:
		return slices.Insert(s, i, span{n, n + 1})
	}
	return s
}
