//go:build unix

package proc

import "os"

// The sizes at which frames are shown.
const LeastShown, LeastPiece, MostRung = leastShown, leastPiece, mostRung

// Shown returns how many frames the worker in slot w was shown and how many it has shown.
func (g *Group) Shown(w int) (to, from uint32) {
	p := g.slots[w].current.Load()
	if p == nil {
		return 0, 0
	}
	p.slot.deliver.Lock()
	defer p.slot.deliver.Unlock()
	if p.ring == nil {
		return 0, 0
	}
	return p.showing.shown.Load(), p.ring.shown.Load()
}

// Shows tells whether each side has found that it can read the other.
func (g *Group) Shows(w int) bool {
	p := g.slots[w].current.Load()
	if p == nil {
		return false
	}
	p.slot.deliver.Lock()
	defer p.slot.deliver.Unlock()
	return p.ring != nil && p.showing.able.Load() != 0 && p.ring.able.Load() != 0
}

// Allowed tells whether this kernel lets a process read itself in this way, as it would have to.
func Allowed() bool {
	word, nonce := identity()
	return new(peek).read(os.Getpid(), word, nonce, nil, nil) == nil
}

// Pid returns the number of the process in slot w.
func (g *Group) Pid(w int) int {
	p := g.slots[w].current.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child.Pid
}
