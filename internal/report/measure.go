package report

import (
	"cmp"
	"slices"
	"sort"

	"github.com/rankpool/rankpool/internal/trace"
)

// share is how long some elements took each.
type share struct{ each, count int64 }

// quantile returns the value below which that part of the elements is. The shares are in order.
func quantile(all []share, q float64) int64 {
	total := int64(0)
	for _, s := range all {
		total += s.count
	}
	want := int64(q * float64(total))
	for _, s := range all {
		if want -= s.count; want < 0 {
			return s.each
		}
	}
	if len(all) > 0 {
		return all[len(all)-1].each
	}
	return 0
}

// measure works out the figures of the functions.
func (r *Recording) measure() {
	shares := make([][]share, len(r.Functions))
	for i := range r.Units {
		u := &r.Units[i]
		f := r.Functions[u.Function]
		f.Count += int(u.Count)
		f.Busy += u.Busy
		f.Max = max(f.Max, u.Slowest())
		if u.Outcome != trace.Succeeded {
			f.Failed += int(u.Units)
		}
		shares[u.Function] = append(shares[u.Function], share{u.Each(), int64(u.Count)})
	}
	for i, f := range r.Functions {
		s := shares[i]
		slices.SortFunc(s, func(a, b share) int { return cmp.Compare(a.each, b.each) })
		if f.Count > 0 {
			f.Mean = f.Busy / int64(f.Count)
		}
		f.P50, f.P95, f.P99 = quantile(s, 0.5), quantile(s, 0.95), quantile(s, 0.99)
	}
}

// SlowestElements returns the units that took longest, the longest first.
func (r *Recording) SlowestElements(n int) []*Unit {
	top := make([]*Unit, 0, n+1)
	for i := range r.Units {
		u := &r.Units[i]
		if len(top) == n && u.Slowest() <= top[n-1].Slowest() {
			continue
		}
		at := sort.Search(len(top), func(k int) bool { return top[k].Slowest() < u.Slowest() })
		top = slices.Insert(top, at, u)
		if len(top) > n {
			top = top[:n]
		}
	}
	return top
}

// Host is what is known of a host.
type Host struct {
	Name    string
	Workers int
	Count   int
	Busy    int64
	Lost    int

	// Slower is how long an element takes there, in the middle, compared with the other hosts; 0: nobody can say.
	Slower float64
	Worst  *Function // of which it is told most clearly
	P50    int64     // of that there
	Others int64     // and elsewhere
}

// Hosts returns the hosts, the slowest first.
func (r *Recording) Hosts() []*Host {
	byName := map[string]*Host{}
	var all []*Host
	of := func(name string) *Host {
		h := byName[name]
		if h == nil {
			h = &Host{Name: name}
			byName[name] = h
			all = append(all, h)
		}
		return h
	}
	for _, p := range r.Pools {
		for _, w := range p.Workers {
			if w.Host != "" {
				of(w.Host).Workers++
			}
		}
	}
	for _, l := range r.Lost {
		if l.Host != "" {
			of(l.Host).Lost++
		}
	}
	type key struct {
		host string
		fn   int32
	}
	shares := map[key][]share{}
	for i := range r.Units {
		u := &r.Units[i]
		h := of(u.Worker.Host)
		h.Count += int(u.Count)
		h.Busy += u.Busy
		if u.Outcome == trace.Succeeded {
			k := key{h.Name, u.Function}
			shares[k] = append(shares[k], share{u.Each(), int64(u.Count)})
		}
	}
	for k := range shares {
		slices.SortFunc(shares[k], func(a, b share) int { return cmp.Compare(a.each, b.each) })
	}
	for _, h := range all {
		weight, sum, clearest := 0.0, 0.0, 0.0
		for fn, f := range r.Functions {
			mine := shares[key{h.Name, int32(fn)}]
			var others []share
			for _, o := range all {
				if o != h {
					others = append(others, shares[key{o.Name, int32(fn)}]...)
				}
			}
			if len(mine) < 5 || len(others) < 5 {
				continue
			}
			slices.SortFunc(others, func(a, b share) int { return cmp.Compare(a.each, b.each) })
			here, there := quantile(mine, 0.5), max(quantile(others, 0.5), 1)
			busy := 0.0
			for _, s := range mine {
				busy += float64(s.each) * float64(s.count)
			}
			weight += busy
			sum += busy * float64(here) / float64(there)
			if busy > clearest {
				clearest, h.Worst, h.P50, h.Others = busy, f, here, there
			}
		}
		if weight > 0 {
			h.Slower = sum / weight
		}
	}
	slices.SortStableFunc(all, func(a, b *Host) int {
		return cmp.Or(cmp.Compare(b.Slower, a.Slower), cmp.Compare(a.Name, b.Name))
	})
	return all
}
