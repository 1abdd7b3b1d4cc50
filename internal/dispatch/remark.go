package dispatch

import (
	"log/slog"
	"slices"
	"time"
)

// remark is something to be logged.
type remark struct {
	level slog.Level
	text  string
	args  []any
}

// remark has something logged once the lock is free.
func (m *Master) remark(level slog.Level, text string, args ...any) {
	m.remarks = append(m.remarks, remark{level, text, args})
}

// stormTime is how long after a report others of the same text are counted.
const stormTime = time.Second

// storms counts what happens to many workers at once, by the text of its report.
type storms struct {
	of   map[string]*storm
	over bool // the workers have left: there are no more
}

// storm is what has happened to workers since the last report.
type storm struct {
	more  int
	last  remark
	timer *time.Timer
}

// report has logged what has happened to a worker, of which who are the attributes. If the same happens to others soon, they are counted, and logged together at the end of
// the time, with the last of them; at debug level each has its own record.
func (m *Master) report(level slog.Level, text string, who []any, args ...any) {
	r := remark{level, text, append(slices.Clone(who), args...)}
	if m.storms.over {
		m.remarks = append(m.remarks, r)
		return
	}
	if s := m.storms.of[text]; s != nil {
		s.more++
		s.last = r
		m.remark(slog.LevelDebug, text, r.args...)
		return
	}
	m.remarks = append(m.remarks, r)
	if m.storms.of == nil {
		m.storms.of = map[string]*storm{}
	}
	s := new(storm)
	m.storms.of[text] = s
	m.time(text, s)
}

// time sets the end of the time in which reports are counted.
func (m *Master) time(text string, s *storm) {
	s.timer = time.AfterFunc(stormTime, func() {
		m.mu.Lock()
		defer m.unlock()
		switch {
		case m.storms.of[text] != s: // it was ended
		case m.count(s):
			m.time(text, s)
		default:
			delete(m.storms.of, text)
		}
	})
}

// count has logged what was counted, and tells whether there was anything.
func (m *Master) count(s *storm) bool {
	if s.more == 0 {
		return false
	}
	if s.more > 1 {
		s.last.args = append(s.last.args, "count", s.more)
	}
	m.remarks = append(m.remarks, s.last)
	s.more = 0
	return true
}

// endStorms has logged what was counted, and counts nothing from then on if it is for good.
func (m *Master) endStorms(forGood bool) {
	for text, s := range m.storms.of {
		s.timer.Stop()
		m.count(s)
		delete(m.storms.of, text)
	}
	m.storms.over = forGood
}

// attributes says which worker a record is about.
func (w *worker) attributes() []any {
	args := make([]any, 0, 16)
	args = append(args, "worker", w.slot)
	if w.hello.Host != "" {
		args = append(args, "host", w.hello.Host)
	}
	if w.hello.Pid != 0 {
		args = append(args, "pid", w.hello.Pid)
	}
	if w.hello.Pid != 0 && w.hello.Rank >= 0 {
		args = append(args, "rank", w.hello.Rank)
	}
	return append(args, "attempt", w.starts)
}
