package bench

import (
	"slices"
	"testing"
)

func TestWhatObservesIsComparedWithTheSameWorkWithoutIt(t *testing.T) {
	f := newField(t.TempDir(), "", t.Logf)
	p := &plan{f: f, wanted: Options{}.wanted}
	p.add("observing")
	if len(p.groups) != 1 || len(p.groups[0].rows) != 9 {
		t.Fatalf("%d groups", len(p.groups))
	}
	flags := []string{"", "-monitor", "-hook"}
	for i, r := range p.groups[0].rows {
		if r.ours.spec != r.peer.spec || r.ours.key != r.peer.key || r.ours.who == r.peer.who {
			t.Errorf("%+v", r)
		}
		with, without := r.ours.who.command([]string{"map"}), r.peer.who.command([]string{"map"})
		if flag := flags[i/3]; flag != "" {
			without = slices.Insert(without, 1, flag)
		} else if !slices.Equal(r.ours.who.env, []string{"RANKPOOL_TRACE=" + f.path("run") + ".rec"}) || r.peer.who.env != nil {
			t.Errorf("%s: %q beside %q", r.name, r.ours.who.env, r.peer.who.env)
		}
		if !slices.Equal(with, without) {
			t.Errorf("%s: %q beside %q", r.name, with, without)
		}
	}
}

func TestAGoalCanBeSoMuchMoreThanThePeer(t *testing.T) {
	g := atMostMore(10)
	for value, want := range map[float64]bool{105: true, 111: false} {
		ratio := value / 100
		if met := g.met(value, &ratio); met == nil || *met != want {
			t.Errorf("%v beside 100: %v", value, met)
		}
	}
	if g.met(100, nil) != nil || g.describe(nsElement) != "<= peer + 10 ns/element" {
		t.Error(g.describe(nsElement))
	}
}
