package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// short writes a time with three digits.
func short(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < 0:
		return "-" + short(-ns)
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", ns)
	case d < time.Millisecond:
		return digits(float64(ns)/1e3) + "µs"
	case d < time.Second:
		return digits(float64(ns)/1e6) + "ms"
	case d < 2*time.Minute:
		return digits(float64(ns)/1e9) + "s"
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func digits(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func percent(part, of int64) string {
	if of <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(of))
}

// Findings are the sentences that a reader should see first.
func (r *Recording) Findings() []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	top, stragglers := r.Stragglers(3)
	for _, u := range top {
		f, took := r.Functions[u.Function], u.Slowest()
		say("Straggler: %s of %s took %s%s, %s times the median of %s, on worker %d%s%s.", r.Element(u), f.Name, short(took), r.each(u),
			digits(float64(took)/float64(f.P50)), short(f.P50), u.Worker.Slot, onHost(u.Worker.Host), r.alone(u))
	}
	if more := stragglers - len(top); more > 0 {
		say("Stragglers: %d more took more than 5 times the median of their function.", more)
	}
	for _, h := range r.Hosts() {
		if h.Slower >= 1.25 && h.Worst != nil {
			say("Slow host: on %s an element takes %.1f times as long as elsewhere (%s: median %s, elsewhere %s), which cost about %s of its workers' time.", h.Name,
				h.Slower, h.Worst.Name, short(h.P50), short(h.Others), short(h.Cost))
		}
	}
	if t := r.Times(); t.Total > 0 {
		for _, c := range t.causes() {
			if c.ns > t.Total/10 {
				say("Idle: %s of the workers' time: %s.", percent(c.ns, t.Total), c.name)
			}
		}
	}
	if n := len(r.Lost); n > 0 {
		say("Lost: %s, the first at %s%s: %s.", plural(n, "worker"), short(r.Lost[0].At),
			onHost(r.Lost[0].Host), oneLine(r.Lost[0].Why))
	}
	failed, lost := 0, 0
	for _, f := range r.Functions {
		failed += f.Failed
		lost += f.Lost
	}
	if failed > 0 {
		say("Failed: %s.", plural(failed, "task"))
	}
	if lost > 0 {
		say("Lost with their worker: %s.", plural(lost, "task"))
	}
	return all
}

// alone says when everything else that had been submitted with a unit had ended, if the unit went on alone.
func (r *Recording) alone(u *Unit) string {
	if _, isMap := u.Worker.Pool.Jobs[u.Job]; !isMap {
		return ""
	}
	others := int64(0)
	for i := range r.Units {
		if o := &r.Units[i]; o.Worker.Pool == u.Worker.Pool && o.Job == u.Job && o.First != u.First && o.Queued <= u.Ended {
			others = max(others, o.Ended)
		}
	}
	if others == 0 || others >= u.Ended {
		return ""
	}
	return "; the others of its map had ended by " + short(others)
}

// each says that a time is that of one element, where several ran as one.
func (r *Recording) each(u *Unit) string {
	if u.Longest == 0 && u.Count > 1 || u.Count > u.Units {
		return " each"
	}
	return ""
}

func onHost(host string) string {
	if host == "" {
		return ""
	}
	return " (" + host + ")"
}

// Warnings say how far the recording can be trusted.
func (r *Recording) Warnings() []string {
	var all []string
	if r.Wrong != nil {
		all = append(all, fmt.Sprintf("What follows is from before: %v.", r.Wrong))
	}
	if r.Cut {
		all = append(all, "The recording breaks off in a record: the program, or the machine, was killed.")
	}
	open := 0
	for _, p := range r.Pools {
		if !p.Over {
			open++
		}
	}
	if open > 0 {
		all = append(all, fmt.Sprintf("%s had not ended when the recording did: the program runs, or was killed.", plural(open, "executor")))
	}
	if r.Thinned > 0 {
		all = append(all, fmt.Sprintf("%s are recorded together with others of their worker, because the file came near its limit or the disk did not keep up. "+
			"Percentiles are of their means; the longest are exact.", plural(r.Thinned, "unit")))
	}
	if r.Missing > 0 {
		all = append(all, fmt.Sprintf("%s of workers, jobs and failures are missing, because the disk did not keep up.", plural(r.Missing, "record")))
	}
	return all
}

type cause struct {
	name string
	ns   int64
}

func (t *Times) causes() []cause {
	return []cause{
		{"starting", t.Starting}, {"nothing was queued", t.Nothing}, {"waiting for the last tasks to end", t.Straggler}, {"tasks and results on the way", t.Way},
		{"after the last task", t.Drained}, {"between tasks that are recorded together", t.Untold},
		{"unknown, because the recording broke off", t.Cut},
	}
}

// workers is how many there were at the same time, and the greatest bound of their clocks.
func (r *Recording) workers() (n int, bound time.Duration) {
	var all []present
	for _, p := range r.Pools {
		all = append(all, present{p.Begin, p.End, len(p.Workers)})
		for _, w := range p.Workers {
			bound = max(bound, w.Bound)
		}
	}
	return most(all), bound
}

// elements is how many have succeeded or failed, in all runs.
func (r *Recording) elements() (n int) {
	for _, f := range r.Functions {
		n += f.Count
	}
	return n
}

// after says how long there was no run before.
func (r *Run) after() string {
	if r.Gap == 0 {
		return ""
	}
	return fmt.Sprintf("; the %s before it count nowhere", short(r.Gap))
}

// wall is how long executors were open, times without any left out.
func (r *Recording) wall() (d int64) {
	at := int64(0)
	for _, p := range r.Pools { // they are in the order of their beginning
		if p.End > max(at, p.Begin) {
			d += p.End - max(at, p.Begin)
			at = p.End
		}
	}
	return d
}

// moment is how the report writes a date.
const moment = time.DateTime + " MST"

// Text prints the report.
func (r *Recording) Text(w io.Writer) error {
	var b strings.Builder
	table := func(rows func(t *tabwriter.Writer)) {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		rows(t)
		_ = t.Flush()
	}
	first := r.Runs[0]
	fmt.Fprintf(&b, "%s on %s, %s, %s, rankpool %s\n", first.Program, first.Host, first.System, first.Go, first.Version)
	for i, run := range r.Runs {
		if len(r.Runs) > 1 {
			fmt.Fprintf(&b, "run %d: %s, process %d on %s, from %s to %s%s\n", i+1, run.Began.Format(moment), run.Pid, run.Host, short(run.Offset), short(run.Last), run.after())
		} else {
			fmt.Fprintf(&b, "begun %s, process %d\n", run.Began.Format(moment), run.Pid)
		}
	}
	times := r.Times()
	workers, bound := r.workers()
	wall := r.wall()
	rate := "-"
	if wall > 0 {
		rate = digits(float64(r.elements())/(float64(wall)/1e9)) + " elements/s"
	}
	fmt.Fprintf(&b, "\nelapsed %s   workers %d   busy %s   elements %d   %s", short(wall), workers, percent(times.Busy, times.Total), r.elements(), rate)
	if r.Cancelled > 0 {
		fmt.Fprintf(&b, "   cancelled %d", r.Cancelled)
	}
	fmt.Fprintf(&b, "\nerror of the workers' clocks: at most %s\n", short(int64(bound)))
	for _, f := range r.Findings() {
		fmt.Fprintf(&b, "  ! %s\n", f)
	}
	for _, f := range r.Warnings() {
		fmt.Fprintf(&b, "  ? %s\n", f)
	}
	fmt.Fprintf(&b, "\nFunctions (durations of one element; failed and lost tasks; bytes of all arguments and results)\n")
	table(func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "elements\tmean\tmedian\tp95\tp99\tmax\tfailed\tlost\targuments\tresults\t  function\n")
		for _, f := range r.Functions {
			if f.Count+f.Failed+f.Lost > 0 {
				fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t  %s\n", f.Count, short(f.Mean), short(f.P50), short(f.P95), short(f.P99), short(f.Max), f.Failed, f.Lost,
					bytesText(f.In), bytesText(f.Out), f.Name)
			}
		}
	})
	fmt.Fprintf(&b, "\nThe slowest elements (maps are counted from 1, elements from 0)\n")
	table(func(t *tabwriter.Writer) {
		for _, u := range r.SlowestElements(10) {
			fmt.Fprintf(t, "%s%s\tbegan at %s\t  worker %d%s: %s, %s", short(u.Slowest()), r.each(u), short(u.Begun), u.Worker.Slot, onHost(u.Worker.Host),
				r.Functions[u.Function].Name, r.Element(u))
			if u.Outcome != 0 {
				fmt.Fprintf(t, ", %s", u.Outcome)
			}
			fmt.Fprintln(t)
		}
	})
	fmt.Fprintf(&b, "\nWhere the workers' time went\n")
	table(func(t *tabwriter.Writer) {
		for _, c := range append([]cause{{"busy", times.Busy}}, times.causes()...) {
			if c.ns > 0 || c.name == "busy" {
				fmt.Fprintf(t, "%s\t%s\t  %s\n", percent(c.ns, times.Total), short(c.ns), c.name)
			}
		}
	})
	if hosts := r.Hosts(); len(hosts) > 1 {
		fmt.Fprintf(&b, "\nHosts (the median duration of an element, compared with all other hosts together)\n")
		table(func(t *tabwriter.Writer) {
			fmt.Fprintf(t, "compared\tworkers\telements\tlost workers\t  host\n")
			for i, h := range hosts {
				if i == 20 {
					fmt.Fprintf(t, "\t\t\t\t  and %d more\n", len(hosts)-i)
					break
				}
				slower := "-"
				if h.Slower > 0 {
					slower = fmt.Sprintf("%.2f times", h.Slower)
				}
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t  %s\n", slower, h.Workers, h.Count, h.Lost, cmp.Or(oneLine(h.Name), "(unknown)"))
			}
		})
	}
	if len(r.Failures)+len(r.Lost) > 0 {
		fmt.Fprintf(&b, "\nFailures and losses\n")
		table(func(t *tabwriter.Writer) {
			for i, l := range r.Lost {
				if i == 10 {
					fmt.Fprintf(t, "\t  and %d more workers\n", len(r.Lost)-i)
					break
				}
				fmt.Fprintf(t, "at %s\t  worker %d%s was lost: %s\n", short(l.At), l.Worker.Slot, onHost(l.Host), oneLine(l.Why))
			}
			for i, f := range r.Failures {
				if i == 10 {
					fmt.Fprintf(t, "\t  and %d more failures\n", len(r.Failures)-i)
					break
				}
				fmt.Fprintf(t, "at %s\t  %s%s: %s\n", short(f.At), r.failed(&f), f.where(), oneLine(f.Text))
			}
		})
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n"))
	return err
}

// failed names the element that has failed.
func (r *Recording) failed(f *Failure) string {
	return f.Name + ", " + r.elementName(f.Pool, f.Job, int64(f.Element), 1, false)
}

// where is the worker on which it failed, if it is known and the text does not tell it.
func (f *Failure) where() string {
	w := f.Pool.bySlot[f.Worker]
	if w == nil {
		return ""
	}
	if _, rest, told := strings.Cut(f.Text, fmt.Sprintf("worker %d", f.Worker)); told && (rest == "" || rest[0] < '0' || rest[0] > '9') {
		return ""
	}
	return fmt.Sprintf(", on worker %d%s", w.Slot, onHost(w.Host))
}

// oneLine is the first line of a text of the user's, without what would move columns or reach the terminal as a command.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func bytesText(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if v < 1000 {
			if unit == "B" {
				return fmt.Sprintf("%dB", n)
			}
			return digits(v) + unit
		}
		v /= 1024
	}
	return digits(v) + "PiB"
}
