package pool_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/pool"
)

// terminal returns a new terminal's two ends: what is written to the one can be read from the other.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n, failed := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	screen, tty := terminal(t)
	var mu sync.Mutex
	var all []byte
	go func() {
		for b := make([]byte, 4096); ; { // ends with an error when the other end closes
			n, err := screen.Read(b)
			mu.Lock()
			all = append(all, b[:n]...)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	shows := func(want *regexp.Regexp) bool {
		mu.Lock()
		defer mu.Unlock()
		return want.Match(all)
	}
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Logf("the terminal shows %q", all)
		}
	}()
	p := threads(t)
	in := make([]int, 40)
	if _, err := pool.Map(t.Context(), p, square, in, pool.WithProgress(tty)); err != nil {
		t.Error(err)
	}
	for _, err := range pool.Imap(t.Context(), p, square, slices.Values([]int{1, 2}), pool.WithProgress(tty)) {
		if err != nil {
			t.Error(err)
		}
	}
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
	// A verb waits a second for its last state to be written, and no longer.
	for _, want := range []string{`Map 100% \|█+\| \(40/40, [\d.]+k? it/s\) \[`, `Imap \(2/-, [\d.]+k? it/s\)`, `\n$`} {
		testkit.Until(t, want+" on the terminal", func() bool { return shows(regexp.MustCompile(want)) })
	}
}
