//go:build unix

package command_test

import "testing"

func TestTheQuickBenchMeasuresTheMasterOverSimulatedWorkers(t *testing.T) {
	r := start("bench", "--quick", "--json", "scale").run(t)
	r.expect(t, 0)
	figures := map[string]int{} // by unit
	for _, b := range records(t, r) {
		figures[b.Unit]++
		if b.Backend != "simulated" || b.Workers < 1 || b.LeftOut != "" || b.Value == nil || *b.Value <= 0 {
			t.Errorf("%+v", b)
			continue
		}
		switch b.Unit {
		case "ns/task":
			if b.Workers > 16 && b.Ratio == nil {
				t.Errorf("nothing to compare with: %+v", b)
			}
		case "of the ideal": // how large a share is up to the master's processor time, which is real
			if *b.Value <= 0 || b.PeerValue == nil || *b.PeerValue > 1 || b.Met == nil {
				t.Errorf("%+v", b)
			}
		}
	}
	for unit, want := range map[string]int{"ns/task": 4 * 5, "ns/message": 4 * 5, "of the ideal": 4 * 3, "B/worker": 4 * 2, "µs/worker": 4} {
		if figures[unit] != want {
			t.Errorf("%d figures in %s, want %d:\n%s", figures[unit], unit, want, r.out)
		}
	}
}
