package lines_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/lines"
	"github.com/rankpool/rankpool/internal/screen"
	"github.com/rankpool/rankpool/internal/testkit"
)

type bar struct{}

func (bar) Text(int) string { return "the bar" }

func TestLinesOfWorkersStandAboveTheBarsOfTheTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	tty, v := testkit.Terminal(t)
	s := screen.Of(tty)
	defer s.Leave()
	if err := s.Draw(bar{}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for worker := range 2 {
		r, w, err := lines.Start(fmt.Sprintf("[worker %d] ", worker), tty)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			fmt.Fprintln(w, i)
			want = append(want, fmt.Sprintf("[worker %d] %d", worker, i))
		}
		w.Close()
		if !r.Drain(testkit.Limit) {
			t.Error("not passed on")
		}
	}
	want = append(want, "", "the bar")
	testkit.Until(t, "lines above the bar", func() bool { return slices.Equal(v.Lines(), want) })
}
