package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// unit is how a value is shown. Programs print times in seconds and sizes in bytes.
type unit struct {
	name  string
	scale float64
}

// The units.
var (
	perSecond    = unit{"tasks/s", 1}
	nsTask       = unit{"ns/task", 1e9}
	nsElement    = unit{"ns/element", 1e9}
	micros       = unit{"µs", 1e6}
	millis       = unit{"ms", 1e3}
	bytesEach    = unit{"B", 1}
	mebibytes    = unit{"MiB", 1. / (1 << 20)}
	perTask      = unit{"per task", 1}
	nsMessage    = unit{"ns/message", 1e9}
	ofIdeal      = unit{"of the ideal", 1}
	bytesWorker  = unit{"B/worker", 1}
	microsWorker = unit{"µs/worker", 1e6}
	percentage   = unit{"% of a core", 100}
)

// goal is what a figure should reach: a multiple of the peer's value, so much more than it, an absolute value in the figure's unit, or several
// of these; a zero is none of that kind. Without any the figure is only shown.
type goal struct {
	atLeast                bool // else at most
	ratio, more, threshold float64
}

func atMost(threshold float64) goal         { return goal{threshold: threshold} }
func atMostTimes(ratio float64) goal        { return goal{ratio: ratio} }
func atLeast(threshold float64) goal        { return goal{atLeast: true, threshold: threshold} }
func atLeastTimes(ratio float64) goal       { return goal{atLeast: true, ratio: ratio} }
func atMostMore(by float64) goal            { return goal{more: by} }
func (g goal) andAtMost(value float64) goal { g.threshold = value; return g }

// describe is the goal in words, empty when there is none.
func (g goal) describe(u unit) string {
	sign := "<="
	if g.atLeast {
		sign = ">="
	}
	var parts []string
	if g.threshold != 0 {
		parts = append(parts, fmt.Sprintf("%s %s %s", sign, short(g.threshold), u.name))
	}
	if g.ratio != 0 {
		parts = append(parts, fmt.Sprintf("%s %s x peer", sign, short(g.ratio)))
	}
	if g.more != 0 {
		parts = append(parts, fmt.Sprintf("%s peer + %s %s", sign, short(g.more), u.name))
	}
	return strings.Join(parts, ", ")
}

// met tells whether a figure has reached its goal, or nil if it has none or the peer is not there.
func (g goal) met(value float64, ratio *float64) *bool {
	ok := true
	reached := func(have, want float64) bool {
		if g.atLeast {
			return have >= want
		}
		return have <= want
	}
	if g.ratio != 0 && ratio != nil {
		ok = reached(*ratio, g.ratio)
	}
	if g.more != 0 && ratio != nil {
		ok = ok && reached(value - value / *ratio, g.more)
	}
	if g.threshold != 0 {
		ok = ok && reached(value, g.threshold)
	}
	// Without the peer a figure can still be known to miss, but not to reach, what it should.
	if g == (goal{}) || (g.ratio != 0 || g.more != 0) && ratio == nil && (ok || g.threshold == 0) {
		return nil
	}
	return &ok
}

// record is one figure as it is printed. Every field is there in every record; what there is not is null.
type record struct {
	Name      string   `json:"name"`
	Backend   string   `json:"backend"`
	Workers   int      `json:"workers"`
	Value     *float64 `json:"value"` // the median of the runs
	Unit      string   `json:"unit"`
	Peer      string   `json:"peer"`
	PeerValue *float64 `json:"peer_value"` // the median of the peer's runs
	Ratio     *float64 `json:"ratio"`      // value through peer_value
	Target    string   `json:"target"`
	Met       *bool    `json:"met"`
	Runs      int      `json:"runs"`
	Min       *float64 `json:"min"`
	Max       *float64 `json:"max"`
	X         *float64 `json:"x"`        // where on a curve
	LeftOut   string   `json:"left_out"` // why there is no value
	Machine   string   `json:"machine"`
}

// settle makes a record of what was measured.
func (r row) settle(machine string) record {
	rec := record{Name: r.name, Backend: r.ours.who.backend, Workers: r.ours.who.workers, Unit: r.unit.name, Target: r.goal.describe(r.unit), Machine: machine}
	if r.x != 0 {
		rec.X = &r.x
	}
	if r.peer.who != nil {
		rec.Peer = r.peerName()
		if theirs := r.peer.values(r.unit); len(theirs) > 0 {
			rec.PeerValue = ptr(median(theirs))
		} else {
			rec.LeftOut = ofPeer + r.peer.reason()
		}
	}
	ours := r.ours.values(r.unit)
	rec.Runs = len(ours)
	if len(ours) == 0 {
		rec.LeftOut = r.ours.reason()
		return rec
	}
	rec.Value, rec.Min, rec.Max = ptr(median(ours)), ptr(slices.Min(ours)), ptr(slices.Max(ours))
	if rec.PeerValue != nil && *rec.PeerValue != 0 {
		rec.Ratio = ptr(*rec.Value / *rec.PeerValue)
	}
	rec.Met = r.goal.met(*rec.Value, rec.Ratio)
	return rec
}

// ofPeer begins the reason why a figure has no peer.
const ofPeer = "the peer: "

// reason is why there are no values.
func (s side) reason() string {
	switch {
	case s.who.missing != nil:
		return s.who.missing.Error()
	case s.late:
		return errNoTime.Error()
	}
	return "it printed no such figure"
}

func ptr(v float64) *float64 { return &v }

// median of values, of which there is at least one.
func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// short writes a number with three digits that count, and no exponent.
func short(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	if digits <= 0 {
		return grouped(math.Round(v))
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.*f", digits, v), "0"), ".")
}

// grouped writes a whole number with a comma between thousands.
func grouped(v float64) string {
	text := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v < 0 {
		return "-" + text
	}
	return text
}
