// Package report_test makes recordings of simulated workers and looks at what is reported of them.
package report_test

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/simlink"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// simulation is a run of simulated workers, of a map for each round.
type simulation struct {
	workers, perHost int
	units, rounds    int
	takes            func(host string, x int) time.Duration
	fails            func(x int) error
	loses            int // the worker that is lost in the midst of the second round, but for 0
	limit            int64
	functions        int // that the rounds take turns with; 0 and 1: one
}

// names are those of the functions.
var names = []string{"simulate", "relax"}

// run records it and returns the recording's path.
func (s simulation) run(t *testing.T, path string) string {
	t.Helper()
	var master *dispatch.Master
	group := simlink.New(simlink.Config{
		Slots: s.workers, Latency: 20 * time.Microsecond, Jitter: 5 * time.Microsecond, Bandwidth: 1e9, Seed: 7,
		Traits: &link.Traits{Kind: "simulated", Replaces: true, Kills: true},
		Flush:  func() { master.Flush() },
		Worker: func(p *simlink.Port) simlink.Worker {
			host := "node" + strconv.Itoa(1+p.Slot()/s.perHost)
			return dispatch.NewVirtual(&dispatch.VirtualConfig{
				Hello: dispatch.Hello{Pid: 1000 + p.Slot(), Procs: 1, Rank: -1, Host: host}, Proof: true, Setup: 30 * time.Millisecond,
				Call: func(_ uint32, args, out []byte) (time.Duration, []byte, []byte) {
					x, _ := binary.Uvarint(args)
					if s.fails != nil {
						if err := s.fails(int(x)); err != nil {
							return s.takes(host, int(x)), nil, []byte(err.Error())
						}
					}
					return s.takes(host, int(x)), append(out, args...), nil
				},
			}, p)
		},
	})
	if path == "" {
		path = filepath.Join(t.TempDir(), "recording")
	}
	rec, err := trace.Open(trace.Config{Path: path, Limit: s.limit, Kind: "simulated", Now: group.Now,
		Run: trace.Run{Program: "/home/ada/sweep", Host: "login1", Pid: 4711, System: "linux/amd64", Go: "go1.26", Version: "v0.1.0", Cores: 8},
		Warn: func(text string, err error) {
			if s.limit == 0 {
				t.Error(text, err)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	master = dispatch.New(dispatch.Config{
		Group: group, Trace: rec, Aside: func(f func()) { f() }, Start: time.Hour, Liveness: time.Hour,
		Name:        func(fn uint32) string { return names[fn] },
		DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*testkit.Limit)
	defer cancel()
	for round := range s.rounds {
		c := &counter{left: s.units}
		j := &dispatch.Job{Func: uint32(round % max(s.functions, 1)), Units: s.units, Sink: c}
		for x := range s.units {
			begin := len(j.Data)
			j.Data = dispatch.CloseUnit(binary.AppendUvarint(dispatch.OpenUnit(j.Data), uint64(x)), begin, nil, false)
		}
		if err := master.Submit(j); err != nil {
			t.Fatal(err)
		}
		lose := round == 1 && s.loses > 0
		err := group.Run(ctx, func() bool {
			if lose && c.left < s.units/2 {
				lose = false
				group.Lose(s.loses, time.Millisecond, errors.New("killed by signal 9, most likely for want of memory"))
			}
			return c.left <= 0
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := master.Shutdown(ctx, true, false); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(ctx, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// counter counts what a job has left.
type counter struct{ left int }

func (c *counter) Claim(int, int) bool { return true }
func (c *counter) Unclaim(int, int)    {}
func (c *counter) Results(_, n int, _ []byte, _ [][]byte, _ *dispatch.Record) bool {
	c.left -= n
	return false
}

func (c *counter) Part(_ int, p dispatch.Part) {
	if p.Last {
		c.left--
	}
}
func (c *counter) Drop(_, n int, _ error) { c.left -= n }

// chance is the same for the same x, from 0 to 1.
func chance(x int) float64 {
	return float64((uint64(x+1)*0x9E3779B97F4A7C15)>>11) / (1 << 53)
}

// straggler has one element of 240 that takes forty times as long.
var straggler = simulation{workers: 8, perHost: 4, units: 240, rounds: 1, takes: func(_ string, x int) time.Duration {
	if x == 187 {
		return 4200 * time.Millisecond
	}
	return 90*time.Millisecond + time.Duration(20*chance(x)*float64(time.Millisecond))
}}

// slowHost has a host on which all takes twice as long, failures, and a worker that is lost.
var slowHost = simulation{workers: 12, perHost: 4, units: 300, rounds: 2, loses: 2,
	takes: func(host string, x int) time.Duration {
		d := 90*time.Millisecond + time.Duration(20*chance(x)*float64(time.Millisecond))
		if host == "node3" {
			d = d * 21 / 10
		}
		return d
	},
	fails: func(x int) error {
		if x%97 == 13 {
			return errors.New("no convergence after 500 iterations")
		}
		return nil
	},
}
