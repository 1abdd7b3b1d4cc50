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
