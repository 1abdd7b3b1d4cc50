package life

import (
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Graces returns how long what runs may go on after a signal, when WithDrainGrace was given asked, or not given (negative).
func Graces(asked time.Duration, s os.Signal, e mpi.Ending) (drain, rest time.Duration, short string) {
	var c Ending
	if asked >= 0 {
		c.Grace, c.Asked = asked, true
	}
	g := c.gracesAfter(s, e)
	return g.drain, g.rest, g.short
}

// Signal has the program's context ended by a signal, as awaitSignal does, and what runs a grace. undo takes that back.
func Signal(grace time.Duration) (undo func()) {
	end := time.Now().Add(grace)
	graceEnd.Store(&end)
	endSignalled()
	return func() {
		signalled.Lock()
		defer signalled.Unlock()
		signalled.yes = false
		graceEnd.Store(nil)
	}
}
