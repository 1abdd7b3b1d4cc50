package progress

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rankpool/rankpool/internal/saturate"
)

// line is the progress as text.
func (p *Progress) line() string {
	n := p.done.Load()
	head := fmt.Sprintf("%s: %d", p.name, n)
	if p.total >= 0 {
		head += fmt.Sprintf("/%d (%d%%)", p.total, p.percent(n))
	}
	return head + p.figures(n)
}

// Text is the progress as a bar. It implements screen.Bar.
func (p *Progress) Text(columns int) string {
	n := p.done.Load()
	if p.total < 0 {
		return cut(p.line(), columns)
	}
	head := fmt.Sprintf("%s: %3d%% ", p.name, p.percent(n))
	tail := fmt.Sprintf(" %d/%d", n, p.total) + p.figures(n)
	cells := min(columns-utf8.RuneCountInString(head)-utf8.RuneCountInString(tail)-3, mostCells)
	if cells < leastCells {
		return cut(p.line(), columns)
	}
	return head + "|" + bar(n, int64(p.total), cells) + "|" + tail
}

// How wide a bar is: where there is less room there is none.
const (
	leastCells = 5
	mostCells  = 30
)

// bar draws how much of a total is done, to an eighth of a cell.
func bar(n, total int64, cells int) string {
	eighths := 8 * cells
	if total > 0 {
		eighths = int(float64(min(n, total)) / float64(total) * float64(8*cells))
	}
	s := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return s + strings.Repeat(" ", cells-utf8.RuneCountInString(s))
}

func (p *Progress) percent(n int64) int64 {
	if p.total <= 0 {
		return 100
	}
	return 100 * n / int64(p.total)
}

// figures are what has failed, the rate, and the time that has passed and that is left. What was done before counts for nothing in the rate.
func (p *Progress) figures(n int64) string {
	var s strings.Builder
	if failed := p.failed.Load(); failed > 0 {
		fmt.Fprintf(&s, ", %d failed", failed)
	}
	known := min(p.known.Load(), n)
	if known > 0 {
		fmt.Fprintf(&s, ", %d recorded before", known)
	}
	elapsed := time.Since(p.start)
	rate := float64(n-known) / max(elapsed.Seconds(), 1e-9)
	fmt.Fprintf(&s, ", %s/s, %v elapsed", perSecond(rate), shortened(elapsed))
	if left := int64(p.total) - n; left > 0 && rate > 0 {
		fmt.Fprintf(&s, ", %v left", saturate.Seconds(float64(left)/rate).Round(time.Second))
	}
	return s.String()
}

// shortened is a time without digits that nobody reads.
func shortened(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}

// perSecond writes a rate: with a digit behind the point where that matters.
func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// cut leaves out what has no room.
func cut(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	return string([]rune(s)[:max(columns-1, 0)]) + "…"
}

// printable is a name on one line, which tells a terminal nothing.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, name)
}
