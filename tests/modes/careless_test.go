//go:build unix

package modes_test

import (
	"strings"
	"testing"
)

func TestTestsFailWhenAStateCannotBeClosedAndNobodyLooks(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		for how, want := range map[string]int{"drop": 1, "join": 1, "leave open": 1, "well": 0, "judge": 0, "print": 0, "fail": 3} {
			o := m.run(t, "github.com/rankpool/rankpool/tests/modes/testdata/careless", []string{how}, "RANKPOOL_LOG=off")
			says := strings.Contains(o.output, "the index was not written")
			if o.code != want || says != (want != 0 || how == "print") {
				t.Errorf("%s: status %d, want %d:\n%s", how, o.code, want, o.output)
			}
		}
	})
}
