package status

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Limits are how much of a status a text has.
type Limits struct {
	Width   int // columns; 0: any number
	Workers int // of each executor
}

const mostNamed = 8 // functions and hosts of one executor in a text

// Text is a status for a terminal.
func (p *Program) Text(l Limits) string {
	t := text{width: l.Width}
	t.line("%s on %s, process %d, for %s", p.Program, p.Host, p.Pid, span(p.At.Sub(p.Begun)))
	if p.Draining {
		t.line("it was told to end: nothing begins any more")
	}
	if len(p.Executors) == 0 {
		t.line("no executor has started, or all have ended")
	}
	for i := range p.Executors {
		t.executor(&p.Executors[i], p.At, l.Workers)
	}
	return t.b.String()
}

// text is a text in the making.
type text struct {
	b     strings.Builder
	width int
}

// line adds a line, without what could do something to a terminal, and cut to its width.
func (t *text) line(format string, args ...any) {
	n := 0
	for _, r := range fmt.Sprintf(format, args...) {
		if n++; t.width > 0 && n > t.width {
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		t.b.WriteRune(r)
	}
	t.b.WriteByte('\n')
}

func (t *text) executor(e *Executor, at time.Time, workers int) {
	t.line("")
	w, n := &e.Workers, &e.Tasks
	if e.Ended.IsZero() {
		t.line("executor %d: %s, %s, for %s", e.Number, e.Backend, e.State, span(at.Sub(e.Begun)))
	} else {
		t.line("executor %d: %s, %s, ended %s ago after %s", e.Number, e.Backend, e.State, span(at.Sub(e.Ended)), span(e.Ended.Sub(e.Begun)))
	}
	if e.Error != "" {
		t.line("  why: %s", e.Error)
	}
	t.line("  workers: %s", list(count{w.Busy, "busy"}, count{w.Waiting, "waiting"}, count{w.Idle, "idle"}, count{w.Starting, "starting"}, count{w.Leaving, "leaving"},
		count{w.Missing, "missing"}, count{int(w.Lost), "lost so far"}, count{int(w.Restarts), "restarts"}))
	t.line("  tasks: %s", list(count{n.Queued, "queued"}, count{n.Running, "at workers"}, count{n.Waiting, "wait for others"}, count{n.Gangs, "gangs wait"}, count{n.Blocked, "wait for inputs"},
		count{int(n.Done), "done"}, count{int(n.Failed), "failed"}, count{int(n.Cancelled), "cancelled"}, count{int(n.Retried), "retried"}, count{int(n.Recalled), "from journals"}))
	for i := range e.Maps {
		t.line("  %s", e.Maps[i].text())
	}
	if len(e.Functions) > 1 || w.Busy > workers {
		for i, f := range e.Functions[:min(len(e.Functions), mostNamed)] {
			more := ""
			if i == mostNamed-1 && len(e.Functions) > mostNamed {
				more = fmt.Sprintf(", and %d other functions", len(e.Functions)-mostNamed)
			}
			t.line("  %s: on %d workers, the longest for %s%s", f.Name, f.Running, seconds(f.Longest), more)
		}
	}
	if len(e.Hosts) > 1 {
		for i, h := range e.Hosts[:min(len(e.Hosts), mostNamed)] {
			more := ""
			if i == mostNamed-1 && len(e.Hosts) > mostNamed {
				more = fmt.Sprintf(", and %d other hosts", len(e.Hosts)-mostNamed)
			}
			t.line("  host %s: %d of %d workers busy%s", h.Name, h.Busy, h.Workers, more)
		}
	}
	t.workers(e, workers)
	for _, l := range e.Losses {
		t.line("  lost %s ago: worker %d%s: %s", span(at.Sub(l.At)), l.Worker, where(l.Host, l.Pid), l.Cause)
	}
}

func (t *text) workers(e *Executor, most int) {
	shown := e.Listed[:min(len(e.Listed), most)]
	rows := [][]string{{"worker", "where", "for", "what"}}
	for i := range shown {
		w := &shown[i]
		place := strings.TrimSpace(fmt.Sprintf("%s %d", w.Host, w.Pid))
		switch {
		case w.Pid == 0:
			place = "-"
		case w.Rank >= 0:
			place += fmt.Sprintf(" rank %d", w.Rank)
		}
		row := []string{fmt.Sprint(w.Number), place, "-", w.State}
		if w.Runs != nil {
			row[2], row[3] = seconds(w.Runs.Seconds), w.Runs.text()
		}
		if w.Attempt > 1 {
			row[3] += fmt.Sprintf(" (attempt %d)", w.Attempt)
		}
		rows = append(rows, row)
	}
	if len(shown) > 0 {
		wide := make([]int, 3)
		for _, r := range rows {
			for i := range wide {
				wide[i] = max(wide[i], len(r[i]))
			}
		}
		for _, r := range rows {
			t.line("  %*s  %-*s  %*s  %s", wide[0], r[0], wide[1], r[1], wide[2], r[2], r[3])
		}
	}
	if rest := e.Workers.Total - len(shown); rest > 0 && len(shown) > 0 {
		t.line("  and %d other workers", rest)
	}
}

func (m *Map) text() string {
	s := fmt.Sprintf("map %d, %s", m.Number, m.Function)
	if m.Name != "" && m.Name != m.Function {
		s += " (" + m.Name + ")"
	}
	s += fmt.Sprintf(": %d", m.Done+m.Failed)
	switch {
	case m.Total > 0:
		s += fmt.Sprintf("/%d (%d%%)", m.Total, 100*int64(m.Done+m.Failed)/int64(m.Total))
	case m.Total == 0:
		s += "/0"
	}
	if m.Failed > 0 {
		s += fmt.Sprintf(", %d failed", m.Failed)
	}
	if m.Rate > 0 {
		s += fmt.Sprintf(", %.3g/s", m.Rate)
	}
	if m.Left >= 0 {
		s += fmt.Sprintf(", %s left", seconds(m.Left))
	}
	return s
}

func (r *Run) text() string {
	s := r.Function
	if r.Map > 0 {
		s += fmt.Sprintf(", map %d, element %d", r.Map, r.Index)
		if r.Elements > 1 {
			s += fmt.Sprintf(" to %d", r.Index+r.Elements-1)
		}
	}
	if r.Waits {
		s += ", waits for others"
	}
	if r.GivenUp {
		s += ", was given up"
	}
	if r.Behind > 0 {
		s += fmt.Sprintf(", %d more behind it", r.Behind)
	}
	return s
}

type count struct {
	n    int
	what string
}

// list joins those that are not zero.
func list(all ...count) string {
	var s []string
	for _, c := range all {
		if c.n != 0 {
			s = append(s, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if s == nil {
		return "none"
	}
	return strings.Join(s, ", ")
}

func where(host string, pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d on %s)", pid, host)
}

func seconds(s float64) string { return span(time.Duration(min(s, maxSeconds) * float64(time.Second))) }

const maxSeconds = 1e9 // 31 years

// span writes a time with as many digits as are worth reading.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
