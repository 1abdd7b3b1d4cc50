//go:build unix

package life

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/status"
)

const (
	quitLimit   = 2 * time.Second // for the status: the program may hang in what that has to ask
	quitWorkers = 50              // of each executor are listed
)

// awaitQuit prints what the program does when it gets SIGQUIT, and then has that do what it does without this: the stacks of all goroutines are
// printed, and the process ends. It closes listens when no signal is missed any more, and returns when ctx has ended and no signal has come.
func awaitQuit(ctx context.Context, listens chan<- struct{}) {
	if signal.Ignored(syscall.SIGQUIT) || slices.Contains(ending.Signals, os.Signal(syscall.SIGQUIT)) {
		close(listens)
		return
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	close(listens)
	select {
	case <-ctx.Done():
		signal.Stop(quit) // it waits until a signal that has come is in the channel
		select {
		case <-quit:
		default:
			return
		}
	case <-quit:
	}
	signal.Stop(quit) // the next one ends the process at once
	text := make(chan string, 1)
	go func() {
		s := Status(quitWorkers)
		text <- s.Text(status.Limits{Workers: quitWorkers})
	}()
	said := make(chan struct{})
	go func() {
		select {
		case s := <-text:
			fmt.Fprintf(os.Stderr, "rankpool: status: %s\n", s)
		case <-time.After(quitLimit):
			fmt.Fprintf(os.Stderr, "rankpool: no status after %v\n", quitLimit)
		}
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(2 * quitLimit): // standard error takes nothing
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	<-time.After(quitLimit) // the process ends meanwhile, unless the program asks for the signal itself
}
