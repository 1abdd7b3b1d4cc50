package bench

import (
	"slices"
	"testing"
)

func TestARecordingIsComparedWithTheSameWorkWithoutOne(t *testing.T) {
	f := newField(t.TempDir(), "", t.Logf)
	p := &plan{f: f, wanted: Options{}.wanted}
	p.add("recording")
	if len(p.groups) != 1 || len(p.groups[0].rows) != 2 {
		t.Fatalf("%d groups", len(p.groups))
	}
	for _, r := range p.groups[0].rows {
		if !slices.Equal(r.ours.who.env, []string{"RANKPOOL_TRACE=" + f.path("run") + ".rec"}) || r.peer.who.env != nil || r.ours.spec != r.peer.spec || r.ours.key != r.peer.key {
			t.Errorf("%+v", r)
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
