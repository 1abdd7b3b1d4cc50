package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/rankpool/rankpool/internal/profile"
)

// Profile is the profiles of one kind of all processes of a role.
type Profile struct {
	Kind, Role string
	Processes  int

	merged *pprof.Profile
	some   []*pprof.Profile // that are to be merged with it
}

// mergedAtOnce is how many profiles are kept in memory until they are merged.
const mergedAtOnce = 32

// topFunctions is how many functions a table shows.
const topFunctions = 10

// LoadProfiles reads the profiles that RANKPOOL_PROFILE has put into a folder, and merges those of a kind and role. Files that cannot be used
// are told of.
func LoadProfiles(dir string, skipped func(text string)) ([]*Profile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*Profile
	found := false
	for _, e := range entries {
		kind, role, ok := profile.Named(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		found = true
		p, err := readProfile(filepath.Join(dir, e.Name()))
		if err == nil {
			i := slices.IndexFunc(all, func(p *Profile) bool { return p.Kind == kind && p.Role == role })
			if i < 0 {
				i = len(all)
				all = append(all, &Profile{Kind: kind, Role: role})
			}
			err = all[i].add(p)
		}
		if err != nil {
			skipped(e.Name() + ": " + err.Error())
		}
	}
	switch {
	case !found:
		return nil, fmt.Errorf("%s has no profiles: run the program with %s=%[1]s", dir, profile.Variable)
	case len(all) == 0:
		return nil, fmt.Errorf("%s has no profile that is whole", dir)
	}
	for _, p := range all {
		if err := p.merge(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *Profile) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Role, b.Role)) })
	return all, nil
}

// errNoProfile is why a file is empty.
var errNoProfile = errors.New("it is empty: its process was killed or has called os.Exit, could not write it, or still runs")

func readProfile(path string) (*pprof.Profile, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the user names the folder
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		return nil, of.Err
	}
	if len(content) == 0 {
		return nil, errNoProfile
	}
	p, err := pprof.ParseData(content)
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, errors.New("it is damaged: nothing was measured")
	}
	return p, nil
}

// add takes the profile of one more process, unless another program has written it.
func (p *Profile) add(one *pprof.Profile) error {
	first := p.merged
	if first == nil && len(p.some) > 0 {
		first = p.some[0]
	}
	if first != nil && !slices.EqualFunc(first.SampleType, one.SampleType, func(a, b *pprof.ValueType) bool { return *a == *b }) {
		return errors.New("it has measured something else than the others")
	}
	p.Processes++
	p.some = append(p.some, one)
	if len(p.some) < mergedAtOnce {
		return nil
	}
	return p.merge()
}

// merge merges what was added.
func (p *Profile) merge() (err error) {
	if p.merged != nil {
		p.some = append(p.some, p.merged)
	}
	if p.merged, err = pprof.Merge(p.some); err != nil {
		return fmt.Errorf("the profiles %s of role %s cannot be merged: %w", p.Kind, p.Role, err)
	}
	p.some = nil
	return nil
}

// File is what the merged profile is to be called.
func (p *Profile) File() string { return profile.Merged(p.Kind, p.Role) }

// Write writes it for go tool pprof.
func (p *Profile) Write(w io.Writer) error { return p.merged.Write(w) }

// cost is what a function has cost: itself, and with what it has called.
type cost struct {
	name      string
	flat, cum int64
}

// costs returns what the functions have cost, by a value of the samples, the greatest first, and the sum.
func (p *Profile) costs(value int) (all []cost, total int64) {
	by := map[string]*cost{}
	at := func(name string) *cost {
		if by[name] == nil {
			by[name] = &cost{name: name}
		}
		return by[name]
	}
	for _, s := range p.merged.Sample {
		v := s.Value[value]
		total += v
		seen := map[string]bool{}
		leaf := true
		for _, l := range s.Location {
			for _, line := range l.Line {
				name := "?"
				if line.Function != nil {
					name = line.Function.Name
				}
				if leaf {
					at(name).flat += v
					leaf = false
				}
				if !seen[name] { // once, however deep it calls itself
					seen[name] = true
					at(name).cum += v
				}
			}
		}
	}
	for _, c := range by {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b cost) int {
		return cmp.Or(cmp.Compare(b.flat, a.flat), cmp.Compare(b.cum, a.cum), cmp.Compare(a.name, b.name))
	})
	return all, total
}

// Text prints the functions that cost most.
func (p *Profile) Text(out io.Writer) error {
	value, what := len(p.merged.SampleType)-1, "time of processors"
	if p.Kind == profile.Heap { // allocated in all, as a worker that has left holds little
		value, what = max(0, slices.IndexFunc(p.merged.SampleType, func(t *pprof.ValueType) bool { return t.Type == "alloc_space" })), "allocated"
	}
	all, total := p.costs(value)
	of := "1 process"
	if p.Processes > 1 {
		of = fmt.Sprintf("%d processes", p.Processes)
	}
	fmt.Fprintf(out, "%s: %s, %s of %s\n", p.Role, what, amount(total, p.merged.SampleType[value].Unit), of)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "flat\tflat%\tcum\tcum%\t  function")
	share := func(n int64) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(max(total, 1))) }
	for _, c := range all[:min(len(all), topFunctions)] {
		if c.flat == 0 {
			break
		}
		unit := p.merged.SampleType[value].Unit
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s\n", amount(c.flat, unit), share(c.flat), amount(c.cum, unit), share(c.cum), clean(c.name))
	}
	return w.Flush()
}

// amount is a value for people.
func amount(n int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return time.Duration(n).Round(10 * time.Millisecond).String()
	case "bytes":
		return bytesText(n)
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// clean is a name on one line, without what a terminal would act on.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}
