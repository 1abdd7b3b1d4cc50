package bench

import (
	"testing"
)

func TestARecordingAndAMonitorAreComparedWithTheSameWorkWithoutThem(t *testing.T) {
	f := newField(t.TempDir(), "", t.Logf)
	p := &plan{f: f, wanted: Options{}.wanted}
	p.add("recording")
	if len(p.groups) != 1 || len(p.groups[0].rows) != 4 {
		t.Fatalf("%d groups", len(p.groups))
	}
	seen := map[string]bool{}
	for _, r := range p.groups[0].rows {
		if r.peer.who.env != nil || r.ours.who.env == nil || r.ours.who == r.peer.who || r.ours.spec != r.peer.spec {
			t.Errorf("%+v", r)
			continue
		}
		for _, kv := range r.ours.who.env() {
			seen[kv] = true
		}
	}
	if !seen["RANKPOOL_TRACE="+f.path("run")+".rec"] || !seen["RANKPOOL_MONITOR=127.0.0.1:0"] || len(seen) != 2 {
		t.Errorf("%v", seen)
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
