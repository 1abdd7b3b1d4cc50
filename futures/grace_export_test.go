package futures

import (
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Graces returns how long what runs may go on after a signal, when DrainGrace was given asked, or not given (negative).
func Graces(asked time.Duration, s os.Signal, e mpi.Ending) (drain, rest time.Duration, short string) {
	var c endingConfig
	if asked >= 0 {
		c.apply([]MainOption{DrainGrace(asked)})
	}
	g := c.gracesAfter(s, e)
	return g.drain, g.rest, g.short
}

// GraceEnd is when what runs is given up, nil before a signal.
func GraceEnd() *time.Time { return graceEnd.Load() }
