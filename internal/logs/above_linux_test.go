package logs_test

import (
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/logs"
	"github.com/rankpool/rankpool/internal/screen"
	"github.com/rankpool/rankpool/internal/testkit"
)

type bar struct{}

func (bar) Text(int) string { return "the bar" }

func TestRecordsStandAboveTheBarsOfTheTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv(logs.Variable, "")
	tty, v := testkit.Terminal(t)
	stderr := os.Stderr
	os.Stderr = tty
	defer func() { os.Stderr = stderr }()
	s := screen.Of(tty)
	defer s.Leave()
	if err := s.Draw(bar{}); err != nil {
		t.Fatal(err)
	}
	slog.New(logs.Default{}).Warn("a worker was lost", "worker", 3)
	want := []string{`level=WARN msg="a worker was lost" worker=3`, "", "the bar"}
	testkit.Until(t, "the record above the bar", func() bool { return slices.Equal(v.Lines(), want) })
}
