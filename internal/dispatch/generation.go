package dispatch

import (
	"encoding/binary"
	"slices"
)

// Generation is what tasks find in their worker beside its set-up: values that were set since the start. Each time one is set there is a new
// generation, and a job names the one that was the newest when it was submitted, nil for the set-up alone. A worker is sent a generation
// before the first unit that needs it, and the number of the generation whenever its next unit needs another than the one before.
type Generation struct {
	Number uint64   // from 1
	Values []*Value // each of another name
	Shared any      // for workers that share memory with the master, to which no value is sent: the values themselves

	plain  More
	queued int // units in the queue that need it; under the scheduler's lock
}

// Value is one of these, as it travels. It does not change, and several generations can have it.
type Value struct {
	Name     string
	Stream   []byte
	Segments [][]byte
}

// NewGeneration returns a generation.
func NewGeneration(number uint64, values []*Value, shared any) *Generation {
	g := &Generation{Number: number, Values: values, Shared: shared}
	g.plain.Generation = g
	return g
}

// Plain is the More of jobs that need the generation and nothing else. They have it in common, and nobody writes to it. It is nil for
// none.
func (g *Generation) Plain() *More {
	if g == nil {
		return nil
	}
	return &g.plain
}

// Value returns that of a name; nil if there is none, or no generation.
func (g *Generation) Value(name string) *Value {
	if g == nil {
		return nil
	}
	if i := slices.IndexFunc(g.Values, func(v *Value) bool { return v.Name == name }); i >= 0 {
		return g.Values[i]
	}
	return nil
}

// generation is the one that a job needs.
func (j *Job) generation() *Generation {
	if j.More == nil {
		return nil
	}
	return j.More.Generation
}

// plain tells whether a job has no More of its own.
func (j *Job) plain() bool {
	return j.More == nil || j.More.Generation != nil && j.More == &j.More.Generation.plain
}

// Own returns the More of a job, which is the job's own from now on.
func (j *Job) Own() *More {
	if j.plain() {
		j.More = &More{Generation: j.generation()}
	}
	return j.More
}

// inQueue notes that n units of a job have come into the queue, or have left it.
func (j *Job) inQueue(n int) {
	if g := j.generation(); g != nil {
		g.queued += n
	}
}

// household is the workers of w's process, which have its values in common. The first of them is where a process receives values.
func (m *Master) household(w *worker) []*worker {
	if n := m.kind.Slots; n > 1 && !m.kind.SharesMem {
		first := w.slot / n * n
		return m.workers[first:min(first+n, len(m.workers))]
	}
	return m.workers[w.slot : w.slot+1]
}

// equip has the units of worker w's next frame find the values of a generation. The frame's mark is that of its first unit.
func (m *Master) equip(w *worker, g *Generation, mark uint64) {
	if m.kind.SharesMem {
		if g != w.generation {
			w.generation = g
			m.use(w, g, mark)
		}
		return
	}
	all := m.household(w)
	carrier := all[0]
	carries := carrier.state == idle || carrier.state == busy
	has := g == nil || carries && slices.Contains(carrier.held, g) || !carries && w.alone == g
	if has && g == w.generation && len(carrier.held) < 2 {
		return
	}
	if !has {
		m.provide(w, carrier, carries, g, mark)
	}
	if carries {
		m.outdate(all, g)
	}
	if g != w.generation {
		w.generation = g
		m.use(w, g, mark)
	}
}

// use tells a worker which generation the units that follow need.
func (m *Master) use(w *worker, g *Generation, mark uint64) {
	o := order{}
	if g == nil {
		o.frame.Stream = number(kindUse, 0)
	} else {
		o.frame.Stream = number(kindUse, g.Number)
	}
	if g != nil && m.kind.SharesMem {
		o.frame.Local = g
	}
	o.frame.Mark = mark
	m.order(w, o)
}

// provide sends a process a generation that it does not have. Of the values in it only those travel that are in none which it has. It
// goes to the first of the process's workers, for all. If that is not there, for it has not said that it is ready or was lost by itself, as that of a rank can be, it goes to
// the worker that needs it, whole; then the process is not told to forget it, unless the first has it later too.
func (m *Master) provide(w, carrier *worker, carries bool, g *Generation, mark uint64) {
	to, from := carrier, carrier.held
	if !carries {
		to, from = w, nil
	}
	if to != w {
		mark = 0 // its unit is another worker's
	}
	o := order{}
	b := binary.AppendUvarint(number(kindValues, g.Number), uint64(len(g.Values)))
	for _, v := range g.Values {
		b = binary.AppendUvarint(b, uint64(len(v.Name)))
		b = append(b, v.Name...)
		if i := slices.IndexFunc(from, func(h *Generation) bool { return slices.Contains(h.Values, v) }); i >= 0 {
			b = binary.AppendUvarint(b, from[i].Number)
			continue
		}
		b = binary.AppendUvarint(b, 0)
		b = binary.AppendUvarint(b, uint64(len(v.Stream)))
		b = binary.AppendUvarint(b, uint64(len(v.Segments)))
		o.inserts = append(o.inserts, insert{len(b), v.Stream})
		o.frame.Segments = append(o.frame.Segments, v.Segments...)
	}
	o.frame.Stream, o.frame.Mark = b, mark
	m.order(to, o)
	if !carries {
		w.alone = g
		return
	}
	at, _ := slices.BinarySearchFunc(to.held, g, func(h, g *Generation) int { return int(h.Number) - int(g.Number) })
	to.held = slices.Insert(to.held, at, g)
}

// outdate has a process let go of generations but for the newest that it has and the one which its next unit needs, if nothing needs them
// which waits or which its workers have. What is wrong about that is right again when something comes that needs one after
// all: it is sent anew.
func (m *Master) outdate(all []*worker, next *Generation) {
	h := all[0]
	var gone []uint64
	last := len(h.held) - 1
	kept := h.held[:0]
	for i, g := range h.held {
		if i == last || g == next || g.queued > 0 || needs(all, g) {
			kept = append(kept, g)
			continue
		}
		gone = append(gone, g.Number)
		for _, w := range all {
			if w.alone == g {
				w.alone = nil
			}
		}
	}
	clear(h.held[len(kept):])
	h.held = kept
	if len(gone) == 0 {
		return
	}
	b := number(kindForget, uint64(len(gone)))
	for _, n := range gone {
		b = binary.AppendUvarint(b, n)
	}
	m.send(h, b)
}

// needs tells whether workers have units that need a generation.
func needs(all []*worker, g *Generation) bool {
	for _, w := range all {
		for i := w.head; i < len(w.out); i++ {
			if w.out[i].job.generation() == g {
				return true
			}
		}
	}
	return false
}
