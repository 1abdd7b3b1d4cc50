package testkit

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal returns a new terminal, and a VT that shows what is written to it. The test is skipped where there are none.
func Terminal(t *testing.T) (tty *os.File, shows *VT) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n, failed := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if failed == nil {
			failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		screen.Close()
		t.Skip("no terminals here:", err)
	}
	shows = NewVT(80, 24)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for b := make([]byte, 4096); ; { // ends with an error when the terminal is closed
			n, err := screen.Read(b)
			if _, bad := shows.Write(b[:n]); bad != nil {
				t.Error(bad)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		screen.Close()
		<-read
	})
	return tty, shows
}
