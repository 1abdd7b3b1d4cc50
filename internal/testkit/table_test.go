package testkit_test

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestATestThatTheTableOfBackendsNamesAndThatIsLeftOutIsTold(t *testing.T) {
	rows, err := testkit.Backends()
	if err != nil {
		t.Fatal(err)
	}
	var ran testkit.Ran
	for _, row := range rows {
		for column, tests := range row.Tests {
			for _, test := range tests {
				if name, ours := strings.CutPrefix(test, "tests/behaviour."); ours && (column != "spawned" || name != "TestTwoExecutorsDoNotShareAState") {
					ran.Add(column + " " + name)
				}
			}
		}
	}
	if err := ran.Missing("tests/behaviour", "goroutines", "processes", "world"); err != nil {
		t.Errorf("nothing is left out there: %v", err)
	}
	const want = "TestTwoExecutorsDoNotShareAState has not run in the column spawned of \"a state (`RegisterState`)\""
	if err := ran.Missing("tests/behaviour", testkit.Columns...); err == nil || !strings.HasSuffix(err.Error(), ":\n"+want) {
		t.Errorf("%v, want %s alone", err, want)
	}
}

func TestATestThatSkipsItselfHasNotRun(t *testing.T) {
	var ran testkit.Ran
	t.Run("runs", func(t *testing.T) { ran.Note(t, "world") })
	t.Run("skips", func(t *testing.T) {
		ran.Note(t, "spawned")
		t.Skip("to see that it does not count")
	})
	if notes := ran.Notes(); len(notes) != 1 || notes[0] != "world "+t.Name() {
		t.Errorf("%q", notes)
	}
}
