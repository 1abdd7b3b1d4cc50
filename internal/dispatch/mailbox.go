package dispatch

import (
	"slices"
)

// mailbox is what has come for the tasks of a worker, under the server's lock.
type mailbox struct {
	letters []Letter
	waiting []*Receive // in the order in which they came: none of them takes a letter that is here

	asks    uint64                // how often kindDirect was sent
	answers map[uint64]chan grant // to those that wait, by their numbers

	numbers uint64     // of communicators that Number has returned
	losses  int        // of workers, as far as tasks in no gang have to know
	lost    *PeerError // the last of them
	over    uint64     // the last gang that has ended here
	gang    uint64     // the gang that out is about
	out     map[int]*PeerError
}

// end drops what a task has left unread, and ends what waits for it. That of a gang is what has its number. In no gang, a worker that is
// ahead may have written to this one's next task already: of a worker whose letters the task has read, those of later tasks are kept, and of
// another one those that came while the task ran.
func (b *mailbox) end(gang uint64, p *Peers) {
	b.over = max(b.over, gang)
	b.letters = slices.DeleteFunc(b.letters, func(l Letter) bool {
		if l.gang > 0 || p == nil || gang > 0 {
			return l.gang > 0 && l.gang <= gang
		}
		last, heard := p.heard[l.Source]
		return heard && l.unit <= last || !heard && l.early
	})
	if len(b.letters) == 0 {
		b.letters = nil
	}
	b.fail(func(*Receive) error { return errReturned })
}

// put gives a letter to the first that waits for it, or keeps it, unless it is for a gang that is over here.
func (b *mailbox) put(l Letter) {
	if l.gang > 0 && l.gang <= b.over {
		return
	}
	for i, r := range b.waiting {
		if !r.look && r.takes(&l) {
			b.waiting = slices.Delete(b.waiting, i, i+1)
			r.settle(l, nil)
			return
		}
	}
	b.letters = append(b.letters, l)
	b.waiting = slices.DeleteFunc(b.waiting, func(r *Receive) bool {
		if !r.takes(&l) { // a probe: it takes no message, and nothing else takes messages of this kind
			return false
		}
		r.settle(l, nil)
		return true
	})
}

// find returns the index of the first letter that r takes, or -1.
func (b *mailbox) find(r *Receive) int {
	return slices.IndexFunc(b.letters, func(l Letter) bool { return r.takes(&l) })
}

// fail ends what waits with the errors that why has for it; nil leaves it.
func (b *mailbox) fail(why func(*Receive) error) {
	b.waiting = slices.DeleteFunc(b.waiting, func(r *Receive) bool {
		err := why(r)
		if err != nil {
			r.settle(Letter{}, err)
		}
		return err != nil
	})
	if len(b.waiting) == 0 {
		b.waiting = nil
	}
}

// giveUp ends what waits and can get nothing any more.
func (b *mailbox) giveUp() { b.fail((*Receive).hopeless) }
