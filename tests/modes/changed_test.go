//go:build unix

package modes_test

import "testing"

// A rank has one environment, and executors share it.
func TestExecutorsOnTheSameRanksWithDifferentSettingsAreRefused(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	const program = "github.com/rankpool/rankpool/tests/modes/testdata/settings"
	world.succeed(t, program, nil).contains(t,
		`the first sees "" false <nil>`, `another with the same settings sees "" false <nil>`,
		"one beside it, winter is refused: futures: the program has changed its own process (variable SEASON) since another executor was started",
		`one after it, winter sees "winter" true <nil>`,
		"one beside it,  is refused: futures: the program has changed its own process (variable SEASON)",
		`one after it,  sees "" false <nil>`)
}
