package futures

import (
	"encoding/binary"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// This file is what a Map does with a journal: elements that are recorded come in as if they had run, and the others are submitted.

// submitNew delivers those of some elements that are recorded, and submits the others. Each run of consecutive others is a job.
func (r *mapping[A, R]) submitNew(xs []A, base int) (n, bytes int, err error) {
	var old recalledRun
	begin := 0 // of the elements that are to run
	keys := make([]resultlog.Key, 0, len(xs))
	lent := false
	run := func(end int) error {
		for begin < end && err == nil {
			did := 0
			did, bytes, err = r.submitJob(xs[begin:end], base+begin, 0, keys[begin:end])
			lent = lent || r.feed.lent
			begin += did
		}
		return err
	}
	for i := range xs {
		counted, o, known := r.tells.submit(&xs[i])
		keys = append(keys, counted.Key())
		if !known {
			r.recall(&old)
			continue
		}
		if err := run(i); err != nil {
			return begin, 0, err
		}
		begin = i + 1
		switch {
		case o.Failed:
			r.recall(&old)
			r.known(incoming{first: base + i, base: base + i, units: 1, raw: true, failed: 1, err: r.tells.failure(o)})
		case o.Large != nil || len(o.Segments) > 0:
			r.recall(&old)
			r.known(incoming{first: base + i, base: base + i, n: 1, units: 1, raw: true, data: o.Stream, segs: o.Segments, large: o.Large})
		default:
			old.add(base+i, o.Stream)
		}
	}
	r.recall(&old)
	if err := run(len(xs)); err != nil {
		return begin, 0, err
	}
	r.feed.lent = lent
	return len(xs), bytes, nil
}

// recalledRun is some consecutive elements with small results that are recorded.
type recalledRun struct {
	first, n int
	data     []byte
}

func (o *recalledRun) add(element int, result []byte) {
	if o.n == 0 {
		o.first = element
	}
	o.n++
	o.data = binary.AppendUvarint(o.data, uint64(len(result))<<dispatch.ResultShift)
	o.data = append(o.data, result...)
}

// recall delivers a run, and begins another.
func (r *mapping[A, R]) recall(o *recalledRun) {
	if o.n == 0 {
		return
	}
	copied := r.known(incoming{first: o.first, base: o.first, n: o.n, units: o.n, data: o.data})
	o.n = 0
	if o.data = o.data[:0]; !copied {
		o.data = nil
	}
}

// known delivers what is recorded.
func (r *mapping[A, R]) known(a incoming) (copied bool) {
	r.ex.recalled.Add(uint64(a.n + a.failed))
	r.progress.Known(a.n + a.failed)
	r.mu.Lock()
	r.tally.known += a.n + a.failed
	r.total += a.n + a.failed
	r.feed.flying += a.units
	r.mu.Unlock()
	return r.arrive(a)
}
