//go:build unix

package behaviour_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func TestAStoppedProcessCostsWhatItsSlotsRan(t *testing.T) {
	ex := oneProcess(t, 3, futures.WithLiveness(2*time.Second))
	never, dir := newGate(t), t.TempDir()
	var lost []*futures.Future[string]
	for i := range 2 {
		lost = append(lost, submit(t, ex, holdHere, Post{dir, fmt.Sprint(i), never}))
	}
	running(t, dir, 2)
	if err := syscall.Kill(pids(ex)[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, f := range lost {
		if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrBroken) || !contains(err, "silent") {
			t.Error(err)
		}
	}
	eventually(t, "another process works", func() bool { // unless the machine lets that be silent too
		v, err := submit(t, ex, square, 5).Result(within(t))
		return err == nil && v == 25
	})
}
