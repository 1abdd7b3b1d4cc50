package screen_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/screen"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bar is one of a text that does not change.
type bar struct{ text string }

func (b *bar) Text(int) string { return b.text }

func draw(t *testing.T, s *screen.Screen, all ...screen.Bar) {
	t.Helper()
	for _, b := range all {
		if err := s.Draw(b); err != nil {
			t.Fatal(err)
		}
	}
}

func shows(t *testing.T, v *testkit.VT, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, v.Lines()); diff != "" {
		t.Errorf("the terminal:\n%s", diff)
	}
}

func TestSeveralBarsStandBelowWhatIsWritten(t *testing.T) {
	for _, rows := range []int{6, 50} { // where the terminal scrolls, and where it does not
		v := testkit.NewVT(40, rows)
		s := screen.NewTerminal(v, 40, rows)
		one, two := &bar{"one |███  |"}, &bar{"two |█    |"}
		draw(t, s, one, two)
		shows(t, v, "", "one |███  |", "two |█    |")
		want := []string{}
		for i := range 10 {
			line := fmt.Sprintf("line %d", i)
			if n, err := s.Lines(line + "\n"); n != len(line)+1 || err != nil {
				t.Fatal(n, err)
			}
			draw(t, s, one, two)
			want = append(want, line)
			shows(t, v, append(slices.Clone(want), "", one.text, two.text)...)
		}
		if err := s.Finish(one, "one: done"); err != nil {
			t.Fatal(err)
		}
		draw(t, s, two)
		want = append(want, "one: done")
		shows(t, v, append(slices.Clone(want), "", two.text)...)
		if err := s.Finish(two, "two: done"); err != nil {
			t.Fatal(err)
		}
		shows(t, v, append(want, "two: done")...)
		if n, err := s.Lines("after\n"); n != 6 || err != nil {
			t.Error(n, err)
		}
	}
}

// Who writes to the terminal without knowing of bars loses nothing, and no line of others.
func TestNothingIsLostThatOthersWrite(t *testing.T) {
	for _, rows := range []int{6, 50} {
		v := testkit.NewVT(40, rows)
		s := screen.NewTerminal(v, 40, rows)
		one, two := &bar{"one |███  |"}, &bar{"two |█    |"}
		var want []string
		for i := range 20 {
			draw(t, s, one, two)
			for k := range i % 4 {
				line := fmt.Sprintf("foreign %d.%d", i, k)
				want = append(want, line)
				if _, err := io.WriteString(v, line+"\n"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := io.WriteString(v, "without an end"); err != nil {
			t.Fatal(err)
		}
		want = append(want, "without an end")
		draw(t, s, one, two)
		if _, err := io.WriteString(v, ", which comes"); err != nil {
			t.Fatal(err)
		}
		want[len(want)-1] += ", which comes"
		draw(t, s, one, two)
		got := v.Lines()
		if diff := cmp.Diff([]string{one.text, two.text}, got[len(got)-2:]); diff != "" {
			t.Error(diff)
		}
		for i, line := range got[:len(got)-2] {
			if i >= len(want) || !strings.HasPrefix(line, want[i]) {
				t.Errorf("line %d is %q", i, line)
			}
		}
	}
}

func TestMoreBarsThanTheTerminalHasRowsAreCounted(t *testing.T) {
	v := testkit.NewVT(10, 5)
	s := screen.NewTerminal(v, 10, 5)
	for i := range 6 {
		draw(t, s, &bar{fmt.Sprintf("bar %d, longer than the terminal is wide", i)})
	}
	got := v.Lines()
	if diff := cmp.Diff([]string{"", "bar 0, loe", "bar 1, loe", "and 4 more"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestABarWhoseWriterFailsIsNotInTheWayOfOthers(t *testing.T) {
	v := testkit.NewVT(40, 10)
	fails := true
	w := writer(func(b []byte) (int, error) {
		if fails {
			return 0, errors.New("no")
		}
		return v.Write(b)
	})
	s := screen.NewTerminal(w, 40, 10)
	if err := s.Draw(&bar{"one"}); err == nil {
		t.Error("no error")
	}
	fails = false
	draw(t, s, &bar{"two"})
	shows(t, v, "", "two")
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestEqualWritersHaveOneScreen(t *testing.T) {
	var a, b strings.Builder
	one, again, other := screen.Of(&a), screen.Of(&a), screen.Of(&b)
	if one != again || one == other || one.Terminal() {
		t.Error("the same screen for others, or another for the same")
	}
	uncomparable := screen.Of(writer(a.Write))
	if err := uncomparable.Print("x"); err != nil || a.String() != "x\n" {
		t.Errorf("%v, %q", err, a.String())
	}
	for _, s := range []*screen.Screen{one, again, other, uncomparable} {
		s.Leave()
	}
	if s := screen.Of(&a); s == one {
		t.Error("a screen that nobody uses is kept")
	} else {
		s.Leave()
	}
}
