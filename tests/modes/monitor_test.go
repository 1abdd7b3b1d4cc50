//go:build unix

package modes_test

import (
	"regexp"
	"strings"
	"testing"
)

const shows = "rankpool: monitor: "

func TestTheMasterShowsWhatEachWorkerRuns(t *testing.T) {
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, "github.com/rankpool/rankpool/tests/modes/testdata/monitored", nil, "RANKPOOL_MONITOR=unix:socket", "RANKPOOL_LOG=error")
		if strings.Count(o.output, shows) != 1 || strings.Count(o.output, shows+"unix:socket") != 1 {
			t.Errorf("not one line that says where:\n%s", o.output)
		}
		first, second := "-1", "-1"
		switch {
		case m.reports == "mpi" && m.ranks > 1:
			first, second = "[12]", "[12]"
		case m.reports == "mpi":
			first, second = "[01]", "[01]"
		}
		want := `shown: \{Executors:\[\{Backend:` + m.reports + ` Workers:\{Total:2 Busy:2\} Listed:\[\{Rank:` + first + ` Runs:\{Function:hold Map:1\}\} \{Rank:` + second +
			` Runs:\{Function:hold Map:1\}\}\]\}\]\}`
		if !regexp.MustCompile(want).MatchString(o.output) {
			t.Errorf("no %s in\n%s", want, o.output)
		}
	})
}

func TestOfAProgramOnEveryRankTheRootAloneShowsWhatItDoes(t *testing.T) {
	needsMPI(t)
	o := world.succeed(t, "github.com/rankpool/rankpool/tests/modes/testdata/monitoredspmd", nil, "RANKPOOL_MONITOR=127.0.0.1:0")
	if n := strings.Count(o.output, shows); n != 1 {
		t.Errorf("%d lines say where:\n%s", n, o.output)
	}
}
