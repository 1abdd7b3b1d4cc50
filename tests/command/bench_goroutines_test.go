//go:build unix

package command_test

import "testing"

func TestTheQuickBenchMeasuresPoolsOfManyGoroutines(t *testing.T) {
	r := start("bench", "--quick", "--json", "goroutines").run(t)
	r.expect(t, 0)
	figures := map[string]int{} // by name
	for _, b := range records(t, r) {
		figures[b.Name]++
		if b.Backend != "threads" || b.Workers < 64 || b.LeftOut != "" || b.Value == nil || *b.Value < 0 {
			t.Errorf("%+v", b)
			continue
		}
		if compared := b.Name == "goroutines sleep" || b.Workers > 64 && b.Target != ""; compared && (b.Ratio == nil || b.Met == nil) {
			t.Errorf("nothing to compare with: %+v", b)
		}
		if b.Name == "goroutines sleep" && (*b.Value > 1 || *b.PeerValue > 1) {
			t.Errorf("better than the ideal: %+v", b)
		}
	}
	for _, name := range []string{"submit", "map", "sleep", "start", "memory"} {
		if got := figures["goroutines "+name]; got != 3 {
			t.Errorf("%d figures of %s, want 3:\n%s", got, name, r.out)
		}
	}
}
