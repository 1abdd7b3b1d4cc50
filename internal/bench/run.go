package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/saturate"
)

// Reasons why a figure is left out.
var (
	errNoHosts = errors.New("name hosts with --hosts")
	errNoTime  = errors.New("no time was left for it")
)

// runner measures the groups of a plan.
type runner struct {
	runs   int
	budget time.Time // when to have ended; zero: whenever it is done
	log    func(format string, args ...any)
}

// prepare builds and looks for whatever the entrants need, all at once. It blocks until then, or until ctx ends.
func prepare(ctx context.Context, groups []*group) {
	var all sync.WaitGroup
	defer all.Wait()
	seen := map[*entrant]bool{}
	for _, g := range groups {
		for _, e := range g.turns() {
			if !seen[e.who] {
				seen[e.who] = true
				all.Go(func() { e.who.ready(ctx) })
			}
		}
	}
}

// turn is what an entrant does in one sitting.
type turn struct {
	who   *entrant
	specs []string
}

// turns are the entrants of a group in the order in which they take turns, each with all that it is asked to measure.
func (g *group) turns() (all []turn) {
	add := func(s side) {
		if s.who == nil {
			return
		}
		i := slices.IndexFunc(all, func(t turn) bool { return t.who == s.who })
		if i < 0 {
			i, all = len(all), append(all, turn{who: s.who})
		}
		if !slices.Contains(all[i].specs, s.spec) {
			all[i].specs = append(all[i].specs, s.spec)
		}
	}
	for _, r := range g.rows {
		add(r.ours)
		add(r.peer)
	}
	return all
}

// measure holds the sittings of a group: in each, every entrant has one turn. It blocks until then, until there is no time
// left, or until ctx ends.
func (r *runner) measure(ctx context.Context, g *group) {
	turns := slices.DeleteFunc(g.turns(), func(t turn) bool { return t.who.missing != nil })
	if len(turns) == 0 {
		return
	}
	for _, t := range turns {
		t.who.samples, t.who.late = map[string][]float64{}, false
	}
	defer g.collect()
	var longest time.Duration
	runs := r.runs
	if g.once {
		runs = 1
	}
	for sitting := range runs {
		begin := time.Now()
		if !r.budget.IsZero() && saturate.Mul(longest, runs-sitting) > r.budget.Sub(begin) {
			for _, t := range turns {
				t.who.samples, t.who.late = nil, true // fewer runs than promised are none
			}
			return
		}
		r.log("%s, %d of %d", g.name, sitting+1, runs)
		var together sync.WaitGroup
		for _, t := range turns {
			if t.who.missing != nil { // it failed before
				continue
			}
			if g.together {
				together.Go(func() { r.sit(ctx, t) })
			} else {
				r.sit(ctx, t)
			}
		}
		together.Wait()
		longest = max(longest, time.Since(begin))
	}
}

// collect gives the rows of a group what its entrants have printed: the next group is another comparison.
func (g *group) collect() {
	for i := range g.rows {
		for _, s := range []*side{&g.rows[i].ours, &g.rows[i].peer} {
			if s.who != nil {
				s.samples, s.late = s.who.samples[s.key], s.who.late
			}
		}
	}
}

// sit gives an entrant its turn. One failure is tried again, for launchers fail now and then; two end its part.
func (r *runner) sit(ctx context.Context, t turn) {
	var err error
	for range 2 {
		var values map[string]float64
		if values, err = t.who.run(ctx, t.specs); err == nil {
			for k, v := range values {
				t.who.samples[k] = append(t.who.samples[k], v)
			}
			return
		}
		if ctx.Err() != nil {
			break
		}
		r.log("%v", err)
	}
	if ctx.Err() != nil {
		t.who.late = true
		return
	}
	t.who.missing = err
}

// killAfter is how long a program may take beyond its limit to end.
const killAfter = 10 * time.Second

// run starts an entrant once and returns what it printed. It blocks until the program has ended or was killed.
func (e *entrant) run(ctx context.Context, specs []string) (map[string]float64, error) {
	limit := saturate.Add(limitOf(specs), killAfter)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	argv := e.command(specs)
	values := map[string]float64{}
	out, err := marked.Run(ctx, append(append(findmpi.AsRoot(nil), "RANKPOOL_BACKEND=mpi"), e.env...), argv[0], argv[1:], func(line string) (keep bool) {
		_, text, ok := strings.Cut(line, ours.Mark)
		if ok {
			_ = json.Unmarshal([]byte(text), &values) // a line that is cut is a value that is not there
		}
		return !ok
	})
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("it was killed after %v: %s", limit, marked.LastWords(out, nil))
	case err != nil:
		return nil, fmt.Errorf("it failed: %s", marked.LastWords(out, err))
	}
	return values, nil
}

// mostWantedFirst orders the groups for when there may be no time for all of them.
func (p *plan) mostWantedFirst() {
	order := []string{"one worker, " + p.of().name, "start", "threads", "skew", "heap", "wake", "sleep"}
	rank := func(g *group) int {
		if i := slices.Index(order, g.name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(p.groups, func(a, b *group) int { return rank(a) - rank(b) })
}

// progress returns a function that tells on a terminal what is being done, on a line that the next one replaces.
func progress(s command.Surroundings) func(format string, args ...any) {
	f, ok := s.Err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string, ...any) {}
	}
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		line := []rune(fmt.Sprintf(format, args...))
		fmt.Fprintf(f, "\r\x1b[K%s", string(line[:min(len(line), 100)]))
	}
}
