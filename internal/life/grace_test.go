package life_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/mpi"
)

func TestWhatASignalLeavesIsOverBeforeTheLauncherKills(t *testing.T) {
	sure := func(d time.Duration) mpi.Ending { return mpi.Ending{Kills: d, Sure: true} }
	slurm := mpi.Ending{Kills: 30 * time.Second}
	warn := syscall.Signal(10)
	const unset = -1
	for name, c := range map[string]struct {
		asked       time.Duration
		signal      os.Signal
		ending      mpi.Ending
		drain, rest time.Duration
		short       bool
	}{
		"nobody kills":                        {unset, syscall.SIGTERM, mpi.Ending{}, 5 * time.Second, time.Second, false},
		"nobody kills, an interrupt":          {unset, os.Interrupt, mpi.Ending{}, 0, 5 * time.Second, false},
		"nobody kills, asked":                 {time.Hour, syscall.SIGTERM, mpi.Ending{}, time.Hour, time.Second, false},
		"one second":                          {unset, syscall.SIGTERM, sure(time.Second), 400 * time.Millisecond, 200 * time.Millisecond, false},
		"one second, an interrupt":            {unset, os.Interrupt, sure(time.Second), 0, 600 * time.Millisecond, false},
		"one second, asked for more":          {time.Hour, syscall.SIGTERM, sure(time.Second), 400 * time.Millisecond, 200 * time.Millisecond, true},
		"one second, asked for less":          {time.Millisecond, syscall.SIGTERM, sure(time.Second), time.Millisecond, 200 * time.Millisecond, false},
		"one second, but a signal of its own": {time.Hour, warn, sure(time.Second), time.Hour, time.Second, false},
		"a fifth of a second":                 {unset, syscall.SIGTERM, sure(200 * time.Millisecond), 80 * time.Millisecond, 40 * time.Millisecond, false},
		"a minute":                            {unset, syscall.SIGTERM, sure(time.Minute), 5 * time.Second, time.Second, false},
		"a setting that is not seen":          {unset, syscall.SIGTERM, slurm, 5 * time.Second, time.Second, false},
		"a setting that is not seen, asked":   {time.Hour, syscall.SIGTERM, slurm, time.Hour, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			drain, rest, short := life.Graces(c.asked, c.signal, c.ending)
			if drain != c.drain || rest != c.rest || (short != "") != c.short {
				t.Errorf("drain %v, rest %v, %q; want %v, %v", drain, rest, short, c.drain, c.rest)
			}
			if c.short && !strings.Contains(short, "DrainOn") {
				t.Errorf("%q does not say what to do", short)
			}
		})
	}
}
