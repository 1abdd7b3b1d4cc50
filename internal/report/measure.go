package report

import (
	"cmp"
	"slices"
	"sort"
	"time"

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
		switch u.Outcome {
		case trace.Succeeded:
		case trace.Lost:
			f.Lost += int(u.Units)
		default:
			f.Failed += int(u.Units)
		}
		if !u.ended() {
			continue
		}
		f.Count += int(u.Count)
		f.Busy += u.Busy
		f.Max = max(f.Max, u.Slowest())
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

// SlowestElements returns the units of which an element took longest, the longest first.
func (r *Recording) SlowestElements(n int) []*Unit {
	return r.top(n, (*Unit).Slowest)
}

// Stragglers returns the units of which an element took far longer than is usual for its function, those first that took most beyond that, and how
// many there are.
func (r *Recording) Stragglers(n int) (top []*Unit, all int) {
	beyond := func(u *Unit) int64 {
		f, took := r.Functions[u.Function], u.Slowest()
		if f.Count <= 10 || f.P50 == 0 || took <= 5*f.P50 || took <= int64(time.Millisecond) || !u.ended() {
			return 0
		}
		return took - f.P50
	}
	for i := range r.Units {
		if beyond(&r.Units[i]) > 0 {
			all++
		}
	}
	return r.top(min(n, all), beyond), all
}

// top returns the units of which something is greatest, the greatest first.
func (r *Recording) top(n int, value func(u *Unit) int64) []*Unit {
	top := make([]*Unit, 0, n+1)
	for i := range r.Units {
		u := &r.Units[i]
		v := value(u)
		if n == 0 || len(top) == n && v <= value(top[n-1]) {
			continue
		}
		at := sort.Search(len(top), func(k int) bool { return value(top[k]) < v })
		top = slices.Insert(top, at, u)
		if len(top) > n {
			top = top[:n]
		}
	}
	return top
}

// present is how many there were from one time to another.
type present struct {
	from, to int64
	n        int
}

// most is how many there were together at most.
func most(all []present) int {
	type change struct {
		at int64
		by int
	}
	var changes []change
	for _, p := range all {
		changes = append(changes, change{p.from, p.n}, change{p.to, -p.n})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	now, top := 0, 0
	for _, c := range changes {
		now += c.by
		top = max(top, now)
	}
	return top
}

// Host is what is known of a host.
type Host struct {
	Name    string
	Workers int // at the same time
	Count   int
	Lost    int

	// Slower is how long an element takes there, in the middle, compared with the other hosts; 0: nobody can say.
	Slower float64
	Worst  *Function // of which it is told most clearly
	P50    int64     // of that there
	Cost   int64     // how much longer its elements took than they would have elsewhere
	Others int64     // and elsewhere
}

// comparison is how long elements take on a host, compared with others.
type comparison struct{ weight, sum, clearest float64 }

// add takes in what is known of a function, which took so long there together.
func (c *comparison) add(h *Host, f *Function, busy float64, here, others int64) {
	c.weight += busy
	c.sum += busy * float64(here) / float64(others)
	h.Cost += int64(busy * (1 - float64(others)/float64(max(here, 1))))
	if busy > c.clearest {
		c.clearest, h.Worst, h.P50, h.Others = busy, f, here, others
	}
}

// distribution is how long elements took: for each share the time, in order, and how many took no longer.
type distribution struct {
	each  []int64
	until []int64
	busy  float64 // all together
}

// newDistribution puts the shares in order too.
func newDistribution(all []share) distribution {
	slices.SortFunc(all, func(a, b share) int { return cmp.Compare(a.each, b.each) })
	d := distribution{each: make([]int64, len(all)), until: make([]int64, len(all))}
	n := int64(0)
	for i, s := range all {
		n += s.count
		d.each[i], d.until[i] = s.each, n
		d.busy += float64(s.each) * float64(s.count)
	}
	return d
}

// upTo is how many elements took so long at most.
func (d *distribution) upTo(each int64) int64 {
	i := sort.Search(len(d.each), func(k int) bool { return d.each[k] > each })
	if i == 0 {
		return 0
	}
	return d.until[i-1]
}

// medianWithout is the median of the elements that are not among those of o, which are some of them.
func (d *distribution) medianWithout(o *distribution) int64 {
	last := len(d.each) - 1
	half := (d.until[last] - o.until[len(o.each)-1]) / 2
	i := sort.Search(last, func(k int) bool { return d.upTo(d.each[k])-o.upTo(d.each[k]) > half })
	return d.each[i]
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
	together := map[*Host][]present{}
	for _, p := range r.Pools {
		there := map[*Host]int{}
		for _, w := range p.Workers {
			if w.Host != "" {
				there[of(w.Host)]++
			}
		}
		for h, n := range there {
			together[h] = append(together[h], present{p.Begin, p.End, n})
		}
	}
	for h, spans := range together {
		h.Workers = most(spans)
	}
	for _, l := range r.Lost {
		if l.Host != "" {
			of(l.Host).Lost++
		}
	}
	everywhere := make([][]share, len(r.Functions))
	there := make([]map[*Host][]share, len(r.Functions))
	for i := range r.Units {
		u := &r.Units[i]
		h := of(u.Worker.Host)
		if u.ended() {
			h.Count += int(u.Count)
		}
		if u.Outcome == trace.Succeeded {
			if there[u.Function] == nil {
				there[u.Function] = map[*Host][]share{}
			}
			s := share{u.Each(), int64(u.Count)}
			there[u.Function][h] = append(there[u.Function][h], s)
			everywhere[u.Function] = append(everywhere[u.Function], s)
		}
	}
	compared := map[*Host]*comparison{}
	for fn, f := range r.Functions {
		total := newDistribution(everywhere[fn])
		for h, shares := range there[fn] {
			mine := newDistribution(shares)
			if len(mine.each) < 5 || len(total.each)-len(mine.each) < 5 {
				continue
			}
			if compared[h] == nil {
				compared[h] = new(comparison)
			}
			compared[h].add(h, f, mine.busy, quantile(shares, 0.5), max(total.medianWithout(&mine), 1))
		}
	}
	for h, c := range compared {
		if c.weight > 0 {
			h.Slower = c.sum / c.weight
		}
	}
	slices.SortStableFunc(all, func(a, b *Host) int {
		return cmp.Or(cmp.Compare(b.Slower, a.Slower), cmp.Compare(a.Name, b.Name))
	})
	return all
}
