package resultlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// earlier is what the file had of one name when it was opened: results that are found by another version, other types or other values than
// those of now are there, but nobody asks for them.
type earlier struct {
	funcs   []*Func // those that have entries
	entries int     // of all
	settled bool    // nothing needs to be said: one of them is used, or it was said
}

// count counts an entry.
func (d *loader) count(number uint32) {
	if d.last == nil || d.of != number {
		n := d.entries[number]
		if n == nil {
			n = new(int)
			d.entries[number] = n
		}
		d.last, d.of = n, number
	}
	*d.last++
}

// earlier returns what the file has, by the names of functions. What was forgotten is not there.
func (d *loader) earlier() map[string]*earlier {
	all := map[string]*earlier{}
	for number, n := range d.entries {
		f := d.l.byNumber[number]
		if f == nil || f.epoch < d.l.epochs[f.Name] {
			continue
		}
		f.held = *n
		e := all[f.Name]
		if e == nil {
			e = &earlier{}
			all[f.Name] = e
		}
		e.entries += *n
		e.funcs = append(e.funcs, f)
	}
	return all
}

// unused says, once for each name, that the file has entries of a function which are not those of now, and why. It is empty where nothing is
// to be said. The reason is that of the one which differs in the fewest things, and of these the last.
func (e *earlier) unused(now Function) string {
	if e == nil || e.settled {
		return ""
	}
	e.settled = true
	entries := "entries"
	if e.entries == 1 {
		entries = "entry"
	}
	why := slices.MinFunc(e.funcs, func(a, b *Func) int {
		return cmp.Or(cmp.Compare(len(a.differs(now)), len(b.differs(now))), cmp.Compare(b.number, a.number))
	}).differs(now)
	return fmt.Sprintf("it has %d %s of %s that its calls do not match: %s", e.entries, entries, now.Name, strings.Join(why, "; "))
}

// differs says in what a function is another one of the same name.
func (f Function) differs(now Function) (all []string) {
	if f.Version != now.Version {
		all = append(all, fmt.Sprintf("version %q was recorded, and it is version %q now", f.Version, now.Version))
	}
	if f.Types != now.Types {
		all = append(all, "the types of its argument or its result have changed, or the kind of machine")
	}
	if f.Given != now.Given {
		all = append(all, "what its workers are given has changed: globals, the initializer, WithDir, WithEnv, or the size of its gang")
	}
	return all
}
