//go:build unix

package bench

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAGoalIsMetOnlyByWhatIsKnown(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		name  string
		goal  goal
		value float64
		ratio *float64
		want  *bool
	}{
		{"no goal", goal{}, 7, ptr(7), nil},
		{"below a threshold", atMost(50), 49, nil, &yes},
		{"above a threshold", atMost(50), 51, nil, &no},
		{"fewer times than allowed", atMostTimes(4), 0, ptr(4), &yes},
		{"more times than allowed", atMostTimes(4), 0, ptr(4.1), &no},
		{"as many times as wanted", atLeastTimes(1.5), 0, ptr(1.5), &yes},
		{"fewer times than wanted", atLeastTimes(1.5), 0, ptr(1.4), &no},
		{"a peer that is missing", atMostTimes(4), 3, nil, nil},
		{"both reached", atMostTimes(1).andAtMost(50), 49, ptr(0.9), &yes},
		{"the threshold alone", atMostTimes(1).andAtMost(50), 49, ptr(1.1), &no},
		{"the peer alone", atMostTimes(1).andAtMost(50), 51, ptr(0.9), &no},
		{"the threshold, without the peer", atMostTimes(1).andAtMost(50), 49, nil, nil},
		{"not even the threshold, without the peer", atMostTimes(1).andAtMost(50), 51, nil, &no},
	} {
		if d := cmp.Diff(tt.want, tt.goal.met(tt.value, tt.ratio)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestNumbersHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0098765: "0.00988", 1: "1", 1.234: "1.23", 12.5: "12.5", 999: "999", 1234: "1,234", 1234567.8: "1,234,568", -4321: "-4,321",
	} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestTheMedianOfAnEvenNumberIsInTheMiddle(t *testing.T) {
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Error(got)
	}
	if got := median([]float64{9, 1, 3}); got != 3 {
		t.Error(got)
	}
}

// Programs take turns, each once in a sitting with all that it has to measure, and what is printed in one group is not
// taken for another's.
func TestEveryProgramHasOneTurnInASitting(t *testing.T) {
	var order []string
	program := func(name, line string) *entrant {
		return &entrant{name: name, backend: name, command: func(specs []string) []string {
			order = append(order, name+" "+strings.Join(specs, "+"))
			return []string{"/bin/sh", "-c", "echo '" + line + "'"}
		}}
	}
	ours := program("ours", `noise RANKPOOL-BENCH {"a.x":2,"b.x":3}`)
	peer := program("peer", `RANKPOOL-BENCH {"a.x":4}`)
	g := &group{name: "both"}
	g.add(
		row{name: "a", ours: by(ours, "a", "a.x"), peer: by(peer, "a", "a.x"), unit: perSecond, goal: atLeastTimes(1)},
		row{name: "b", ours: by(ours, "b", "b.x"), unit: perSecond},
	)
	r := &runner{runs: 5, log: func(string, ...any) {}}
	for range 2 { // a later group with the same programs begins anew
		order = nil
		r.measure(context.Background(), g)
	}
	var want []string
	for range 5 {
		want = append(want, "ours a+b", "peer a")
	}
	if d := cmp.Diff(want, order); d != "" {
		t.Error(d)
	}
	rec := g.rows[0].settle("here")
	if rec.Runs != 5 || *rec.Value != 2 || *rec.PeerValue != 4 || *rec.Ratio != 0.5 || *rec.Met {
		t.Errorf("%+v", rec)
	}
	if rec := g.rows[1].settle("here"); *rec.Value != 3 || rec.Peer != "" || rec.Met != nil || rec.Target != "" {
		t.Errorf("%+v", rec)
	}
}

func TestAProgramThatFailsTwiceIsLeftOutWithItsLastWords(t *testing.T) {
	e := &entrant{backend: "broken", command: func([]string) []string {
		return []string{"/bin/sh", "-c", "echo it rained; exit 3"}
	}}
	g := &group{name: "one"}
	g.add(row{name: "a", ours: by(e, "a", "a.x"), unit: perSecond})
	(&runner{runs: 5, log: func(string, ...any) {}}).measure(context.Background(), g)
	rec := g.rows[0].settle("here")
	if rec.Value != nil || !strings.Contains(rec.LeftOut, "exit status 3") || !strings.Contains(rec.LeftOut, "it rained") {
		t.Errorf("%+v", rec)
	}
}

func TestWhatWasLeftOutIsListedOncePerReason(t *testing.T) {
	var b strings.Builder
	p := &printer{w: &b}
	missing := &entrant{backend: "mpich world", missing: errors.New("no MPICH")}
	for _, name := range []string{"submit", "map"} {
		p.print(row{name: name, ours: by(missing, "", ""), unit: perSecond}.settle("here"))
	}
	p.close()
	if d := cmp.Diff("\nleft out:\n  submit (mpich world), map (mpich world): no MPICH\n", b.String()); d != "" {
		t.Error(d)
	}
}
