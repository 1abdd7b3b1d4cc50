//go:build unix

package command_test

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/command"
)

// What a command has done by then may have ended well, and another program may be about to begin in its place.
func TestASignalThatComesAsACommandEndsIsItsEnd(t *testing.T) {
	do := func(send bool) (err error) {
		there := make(chan os.Signal, 1)
		signal.Notify(there, syscall.SIGTERM)
		defer signal.Stop(there)
		_, stop := command.UntilSignal()
		defer stop(&err)
		if send {
			if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
				return err
			}
			<-there
		}
		return nil
	}
	for range 100 {
		if err := do(false); err != nil {
			t.Fatal(err)
		}
		if stopped := (*command.StoppedError)(nil); !errors.As(do(true), &stopped) || stopped.Signal != syscall.SIGTERM {
			t.Fatal("the signal is forgotten")
		}
	}
}
