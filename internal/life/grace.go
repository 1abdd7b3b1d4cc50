package life

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Grace periods where nothing but the program decides.
const (
	closeGrace = 5 * time.Second // of what runs when the program is told to end at once, and of a drain
	DrainRest  = time.Second     // of what has not ended with its context after a drain
)

// Of the time before a launcher kills, in tenths: tasks that run may finish, they may end with their contexts, and the rest
// is for what the program does then.
const (
	drainTenths = 4
	restTenths  = 2
)

// graces are how long what runs may go on after a signal.
type graces struct {
	drain time.Duration // until its context ends; nothing after SIGINT
	rest  time.Duration // and from then on
	short string        // what to tell the user of a launcher that leaves less than the program asked for
}

// AfterFailure is how long what runs may go on when the program has failed, which nobody kills.
func AfterFailure() time.Duration {
	if !ending.Asked {
		return closeGrace
	}
	return ending.Grace
}

// gracesAfter returns the graces after a signal, which the launcher may have sent: it kills a while later.
func (c Ending) gracesAfter(s os.Signal, e mpi.Ending) graces {
	g := graces{drain: c.Grace, rest: DrainRest}
	if s == os.Interrupt {
		g = graces{rest: closeGrace}
	} else if !c.Asked {
		g.drain = closeGrace
	}
	if e.Kills == 0 || s != os.Interrupt && s != syscall.SIGTERM { // nobody kills after a signal of DrainOn
		g.rest += profileRest
		return g
	}
	if c.Asked && !e.Sure { // a program that asks for more knows the setting
		return g
	}
	most := graces{drain: e.Kills / 10 * drainTenths, rest: e.Kills / 10 * restTenths}
	if s == os.Interrupt {
		most = graces{rest: most.drain + most.rest}
	}
	if c.Asked && g.drain > most.drain {
		g.short = fmt.Sprintf("tasks that run have %v, not the %v of WithDrainGrace: the launcher kills %v after its %v; "+
			"to have more time, tell the program by another signal (DrainOn)", most.drain, g.drain, e.Kills, s)
	}
	g.drain, g.rest = min(g.drain, most.drain), min(g.rest, most.rest)
	return g
}
