package pkl5

import (
	"math/bits"
	"unsafe"
)

// ref is a pointee, or a map, that was met once and may be met again.
type ref struct {
	p      unsafe.Pointer
	plan   *plan // of the pointee; of the map itself for a map
	from   uint32
	queued bool // its content is still to come, after everything met before
}

const (
	fewRefs  = 8    // up to here a scan beats the index
	keepRefs = 1024 // capacity that is kept from one value to the next
)

// refTable numbers pointees in the order in which they are met.
type refTable struct {
	list  []ref
	index []uint32 // open addressing: number plus one; empty while the list is short
}

// find returns the number of the pointee.
func (t *refTable) find(p unsafe.Pointer, pl *plan) (uint32, bool) {
	if len(t.list) <= fewRefs {
		for i := range t.list {
			if t.list[i].p == p && t.list[i].plan == pl {
				return uint32(i), true
			}
		}
		return 0, false
	}
	mask := uint64(len(t.index) - 1)
	for h := t.hash(p); ; h++ {
		n := t.index[h&mask]
		if n == 0 {
			return 0, false
		}
		if r := &t.list[n-1]; r.p == p && r.plan == pl {
			return n - 1, true
		}
	}
}

// add appends a pointee that find does not know.
func (t *refTable) add(p unsafe.Pointer, pl *plan, from uint32, queued bool) {
	t.list = append(t.list, ref{p, pl, from, queued})
	n := len(t.list)
	switch {
	case n <= fewRefs:
		return
	case n*2 > len(t.index):
		t.index = make([]uint32, max(64, 2*len(t.index)))
		for i := range t.list {
			t.put(uint32(i))
		}
	case n == fewRefs+1:
		clear(t.index)
		for i := range t.list {
			t.put(uint32(i))
		}
	default:
		t.put(uint32(n - 1))
	}
}

func (t *refTable) put(i uint32) {
	mask := uint64(len(t.index) - 1)
	h := t.hash(t.list[i].p)
	for t.index[h&mask] != 0 {
		h++
	}
	t.index[h&mask] = i + 1
}

// hash mixes an address, whose low bits say little. Heap objects do not move, so it stays valid during a value.
func (t *refTable) hash(p unsafe.Pointer) uint64 {
	hi, lo := bits.Mul64(uint64(uintptr(p)), 0x9E3779B97F4A7C15)
	return hi ^ lo
}

func (t *refTable) reset() {
	if cap(t.list) > keepRefs {
		*t = refTable{}
		return
	}
	clear(t.list) // do not keep the callers' memory alive
	t.list = t.list[:0]
}

// pointer makes pl the plan of a pointer to values of elem.
//
// A pointee that leads no further follows its pointer at once. Any other is queued.
func pointer(pl, elem *plan) {
	queued := elem.linked
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		q := *(*unsafe.Pointer)(p)
		if q == nil {
			e.Stream = append(e.Stream, 0)
			return nil
		}
		if known, err := e.refer(q, elem, queued); known || err != nil || queued {
			return err
		}
		return elem.enc(e, q)
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		fresh, err := d.refer(p, elem)
		if !fresh || err != nil {
			return err
		}
		if elem.bigArray {
			return d.arrayPointee(p, elem)
		}
		if err := d.claim(1, elem.min); err != nil {
			return err
		}
		q := elem.alloc()
		*(*unsafe.Pointer)(p) = q
		d.refs = append(d.refs, ref{p: q, plan: elem, queued: queued})
		if queued {
			return nil
		}
		d.owed -= elem.min
		return elem.dec(d, q)
	}
}

// refer writes the reference to q: 1 for one not met before, 2 and its number for one that was.
func (e *Encoder) refer(q unsafe.Pointer, pl *plan, queued bool) (known bool, err error) {
	if n, ok := e.refs.find(q, pl); ok {
		e.Stream = appendUint(e.Stream, uint64(n)+2)
		return true, nil
	}
	if e.seek != nil && e.seek.p == q && e.seek.plan == pl {
		return false, errSought
	}
	if uint64(len(e.refs.list)) >= 1<<32-2 {
		return false, errTooManyRefs
	}
	e.Stream = append(e.Stream, 1)
	e.refs.add(q, pl, e.at, queued)
	return false, nil
}

// refer reads a reference into the word at p. It returns true, and has written nothing, for one not met before.
func (d *Decoder) refer(p unsafe.Pointer, pl *plan) (fresh bool, err error) {
	h, err := d.uint()
	switch {
	case err != nil || h == 0:
		return false, err
	case h == 1:
		return true, nil
	case h-2 >= uint64(len(d.refs)):
		return false, d.corrupt("reference %d of %d", h-2, len(d.refs))
	}
	r := &d.refs[h-2]
	if r.plan != pl {
		return false, d.corrupt("reference to a %s where a %s belongs", typeName(r.plan.typ), typeName(pl.typ))
	}
	*(*unsafe.Pointer)(p) = r.p
	return false, nil
}
