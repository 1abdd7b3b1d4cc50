package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/simlink"
	"github.com/rankpool/rankpool/internal/testkit"
)

// counts is a sink that only counts what has succeeded.
type counts struct{ left int }

func (c *counts) Claim(int, int) bool     { return true }
func (c *counts) Unclaim(int, int)        {}
func (c *counts) Part(int, dispatch.Part) {}
func (c *counts) Drop(_, _ int, _ error)  {}
func (c *counts) Results(_, n int, _ []byte, _ [][]byte, _ *dispatch.Record) bool {
	c.left -= n
	return false
}

// crowd is a master over many simulated workers.
type crowd struct {
	*dispatch.Master
	group   *simlink.Group
	workers int
	kept    []*dispatch.Virtual // none goes while what the master keeps is measured
	t       *testing.T
}

// The functions of a crowd's tasks.
const (
	tiny = iota
	short
	long
)

func newCrowd(t *testing.T, workers int) *crowd {
	t.Helper()
	took := []time.Duration{tiny: 0, short: 100 * time.Microsecond, long: 10 * time.Millisecond}
	worker := &dispatch.VirtualConfig{
		Hello: dispatch.Hello{Pid: 1, Procs: 1, Host: "a host with a long name", Fingerprint: make([]byte, 1000)},
		Call: func(fn uint32, args, out []byte) (time.Duration, []byte, []byte) {
			return took[fn], append(out, args...), nil
		},
	}
	c := &crowd{t: t, workers: workers}
	c.group = simlink.New(simlink.Config{
		Slots: workers, Latency: 5 * time.Microsecond, Traits: &link.Traits{Kind: "mpi", Spread: true},
		Flush: func() { c.Flush() },
		Worker: func(p *simlink.Port) simlink.Worker {
			v := dispatch.NewVirtual(worker, p)
			c.kept = append(c.kept, v)
			return v
		},
	})
	c.Master = dispatch.New(dispatch.Config{
		Group: c.group, Aside: func(f func()) { f() }, Start: time.Hour, Liveness: time.Hour,
		DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	if err := c.Boot(); err != nil {
		t.Fatal(err)
	}
	c.until(func() bool {
		select {
		case <-c.Booted():
			return true
		default:
			return false
		}
	})
	return c
}

func (c *crowd) until(done func() bool) {
	c.t.Helper()
	if err := c.group.Run(testkit.Within(c.t), done); err != nil {
		c.t.Fatal(err)
	}
}

// submit queues n tasks of a function in jobs of so many.
func (c *crowd) submit(fn uint32, n, each int) *counts {
	c.t.Helper()
	s := &counts{left: n}
	for ; n > 0; n -= each {
		j := &dispatch.Job{Func: fn, Units: each, Sink: s}
		for x := range each {
			begin := len(j.Data)
			j.Data = dispatch.CloseUnit(binary.AppendUvarint(dispatch.OpenUnit(j.Data), uint64(x)), begin, nil, false)
		}
		if err := c.Submit(j); err != nil {
			c.t.Fatal(err)
		}
	}
	return s
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAMasterKeepsLittleForAWorkerWithNothingToDo(t *testing.T) {
	const workers, most = 4096, 1536
	c := newCrowd(t, workers)
	for _, fn := range []uint32{tiny, short, long} {
		for _, each := range []int{workers * 8, 1} { // a map, and calls
			s := c.submit(fn, workers*8, each)
			c.until(func() bool { return s.left <= 0 })
		}
	}
	with := heap()
	if _, err := c.Shutdown(context.Background(), true, true); err != nil {
		t.Fatal(err)
	}
	c.Empty()
	without := heap()
	runtime.KeepAlive(c)
	if kept := (int64(with) - int64(without)) / workers; kept > most {
		t.Errorf("the master keeps %d bytes for a worker with nothing to do, and %d are enough", kept, most)
	} else {
		t.Log(kept, "bytes a worker")
	}
}

func TestAWorkerThatAlwaysHasAnotherTaskNeedsNoMemoryForItsList(t *testing.T) {
	const workers, each = 64, 200
	for _, fn := range []uint32{short, long} {
		c := newCrowd(t, workers)
		s := c.submit(fn, workers*each, workers*each)
		c.until(func() bool { return s.left <= workers*each/4 })
		for slot := range workers {
			if room := c.RoomForPieces(slot); room > 2 {
				t.Fatalf("the list of worker %d, which has at most two tasks at a time, has grown to %d", slot, room)
			}
		}
		c.until(func() bool { return s.left <= 0 })
		if _, err := c.Shutdown(testkit.Within(t), true, true); err != nil {
			t.Fatal(err)
		}
	}
}
