//go:build !unix

package proc

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"github.com/rankpool/rankpool/internal/link"
)

var errUnavailable = errors.New("proc: Open: local processes need a Unix system; set RANKPOOL_BACKEND=threads to use goroutines")

// Group exists so that programs build; Open refuses.
type Group struct{}

func newGroup(Config) *Group { return &Group{} }

// Open fails: there are no child processes of this kind here.
func (g *Group) Open(context.Context, link.Handler) (int, error) { return 0, errUnavailable }

// Start panics: there is no slot.
func (g *Group) Start(int) { panic(errUnavailable) }

// Send panics: there is no slot.
func (g *Group) Send(int, link.Frame) { panic(errUnavailable) }

// Kill panics: there is no slot.
func (g *Group) Kill(int, error) { panic(errUnavailable) }

// Help has nothing to do.
func (g *Group) Help(func() bool) {}

// EndPrograms has nothing to do.
func (g *Group) EndPrograms() {}

// Close has nothing to do.
func (g *Group) Close(context.Context) error { return nil }

// IsWorker is always false.
func IsWorker() bool { return false }

// Attach finds that this process is no worker.
func Attach() (ep link.Endpoint, ok bool, err error) { return nil, false, nil }

// LeaveSignals leaves an interrupt, and more signals if the program says so, to the master.
func LeaveSignals(more ...os.Signal) {
	signal.Notify(make(chan os.Signal, 1), append([]os.Signal{os.Interrupt}, more...)...)
}
