package screen_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/screen"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Standard output and standard error are often the same terminal, by two files.
func TestLinesByAnotherFileOfTheTerminalStandAboveItsBars(t *testing.T) {
	t.Setenv("TERM", "xterm")
	tty, v := testkit.Terminal(t)
	again, err := os.OpenFile(tty.Name(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	s, other := screen.Of(tty), screen.Of(again)
	defer s.Leave()
	defer other.Leave()
	if s != other || !s.Terminal() {
		t.Fatal("one terminal has two screens, or is none")
	}
	one, two := &bar{"one"}, &bar{"two"}
	draw(t, s, one, two)
	for i := range 3 {
		if _, err := fmt.Fprintf(screen.Above(again, again), "line %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"line 0", "line 1", "line 2", "", "one", "two"}
	testkit.Until(t, "lines above two bars", func() bool { return slices.Equal(v.Lines(), want) })
	t.Setenv("TERM", "dumb")
	if plain := screen.Of(again); plain.Terminal() {
		t.Error("a terminal that knows no commands has bars")
	} else {
		plain.Leave()
	}
}
