package pool_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/pool"
)

func TestProgressIsABarOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	tty, terminal := testkit.Terminal(t)
	p := threads(t)
	release := make(chan struct{})
	wait := futures.Local(func(_ context.Context, x int) (int, error) {
		if x > 0 {
			<-release
		}
		return x, nil
	})
	showing := func(want ...string) {
		t.Helper()
		testkit.Until(t, strings.Join(want, ", then ")+" on the terminal", func() bool {
			shown := terminal.Lines()
			if len(shown) < len(want) {
				return false
			}
			for i, line := range shown[len(shown)-len(want):] {
				if !regexp.MustCompile("^" + want[i] + "$").MatchString(line) {
					return false
				}
			}
			return true
		})
	}
	r, err := pool.MapAsync(t.Context(), p, wait, []int{0, 0, 0, 1}, pool.WithChunkSize(1), pool.WithProgress(tty))
	if err != nil {
		t.Fatal(err)
	}
	const figures = `, [\d.]+/s, [\dms.]+ elapsed`
	showing(`MapAsync:  75% \|█+[▏▎▍▌▋▊▉]? +\| 3/4` + figures + `(, \S+ left)?`)
	close(release)
	if _, err := r.Get(t.Context()); err != nil {
		t.Error(err)
	}
	showing(`MapAsync: 4/4 \(100%\)` + figures)
	for _, err := range pool.Imap(t.Context(), p, square, slices.Values([]int{1, 2}), pool.WithProgress(tty)) {
		if err != nil {
			t.Error(err)
		}
	}
	showing(`MapAsync: 4/4 \(100%\)`+figures, `Imap: 2`+figures)
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}
