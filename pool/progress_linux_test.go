package pool_test

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

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
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // ends with an error when the other end closes
		shown <- string(b)
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
	tty.Close()
	got := <-shown
	for _, want := range []string{`Map 100% \|█+\| \(40/40, [\d.]+k? it/s\) \[`, `Imap \(2/-, [\d.]+k? it/s\)`, `\n$`} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q does not contain %s", got, want)
		}
	}
}
