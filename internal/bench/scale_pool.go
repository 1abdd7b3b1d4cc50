package bench

import (
	"container/heap"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/simlink"
)

// The simulated cluster: what a frame takes from a process to a rank on another host of it and back.
const (
	simLatency   = 5 * time.Microsecond
	simJitter    = time.Microsecond
	simBandwidth = 10e9
)

// workload is what the tasks of a simulation are. Their function has the number of their place in workloads.
type workload struct {
	name  string
	calls bool                         // each is a job of its own, instead of an element of one
	took  func(x uint64) time.Duration // in virtual time
	mean  time.Duration                // of took
}

const mixture = "1 µs to 10 ms"

var workloads = []workload{
	{name: "0", took: func(uint64) time.Duration { return 0 }},
	{name: "0, calls", calls: true, took: func(uint64) time.Duration { return 0 }},
	{name: "100 µs", took: func(uint64) time.Duration { return 100 * time.Microsecond }, mean: 100 * time.Microsecond},
	{name: "10 ms", took: func(uint64) time.Duration { return 10 * time.Millisecond }, mean: 10 * time.Millisecond},
	{name: mixture, took: spread, mean: 1086 * time.Microsecond},
}

// spread is 1 µs to 10 ms, each order of magnitude as often as the others.
func spread(x uint64) time.Duration {
	x = (x + 1) * 0x9E3779B97F4A7C15 // the top bits are as good as chance, and the same each time
	return time.Duration(1e3 * math.Pow(1e4, float64(x>>11)/(1<<53)))
}

// Scale measures the master over simulated workers and prints the figures, and takes a profile if it is told a file for one. A spec is what a row of the figure asks for:
// scale,workers=N,each=TASKS,enough=TASKS,seconds=LIMIT.
func Scale(w io.Writer, specs []string, limit time.Duration, profile string) (err error) {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	runtime.LockOSThread() // its time is measured
	values := map[string]float64{}
	for _, spec := range specs {
		set := map[string]int{}
		words := strings.Split(spec, ",")
		for _, s := range words[1:] {
			key, text, _ := strings.Cut(s, "=")
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("%s: %w", spec, err)
			}
			set[key] = n
		}
		measured := map[string]float64{}
		if err := scale(ctx, set["workers"], set["each"], set["enough"], measured); err != nil {
			return err
		}
		for key, value := range measured {
			values[scaleKey(set["each"], key)] = value
		}
	}
	text, err := json.Marshal(values)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", ours.Mark, text)
	}
	return err
}

// scaleKey is the name of a value that was measured with so many tasks for each worker.
func scaleKey(each int, key string) string { return fmt.Sprintf("scale%d.%s", each, key) }

// simulated is a pool of simulated workers.
type simulated struct {
	group  *simlink.Group
	master *dispatch.Master
	look   time.Duration // what two looks at the clock take

	workers int
	virtual []*dispatch.Virtual // one of each start
	bests   map[[2]int]time.Duration
}

// scale measures with so many workers, so many tasks for each, again until there were enough of them.
func scale(ctx context.Context, workers, each, enough int, values map[string]float64) error {
	p := newSimulated(workers)
	took, err := p.start(ctx)
	if err != nil {
		return err
	}
	values["start"] = took.Seconds() / float64(workers)
	for fn, load := range workloads {
		n := workers * each
		if load.calls {
			n = workers * callsEach(workers, each)
		}
		key := load.name
		// From here on the master knows what a task takes, and its time passes for the workers too.
		first, err := p.run(ctx, fn, min(n, 10*workers))
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		attention := first.spent / time.Duration(first.messages)
		p.group.SetAttention(attention)
		var task, message, share, attended []float64
		for range max(1, min(mostRounds, enough/n)) {
			r, err := p.run(ctx, fn, n)
			if err != nil {
				return fmt.Errorf("%s: %w", load.name, err)
			}
			task = append(task, r.spent.Seconds()/float64(n))
			message = append(message, r.spent.Seconds()/float64(r.messages))
			share = append(share, r.best.Seconds()/r.took.Seconds())
			attended = append(attended, attention.Seconds()*float64(r.messages)/float64(n))
		}
		p.group.SetAttention(0)
		values[key+".task"], values[key+".message"] = median(task), median(message)
		if load.mean > 0 {
			values[key+".share"] = median(share)
			values[key+".reachable"] = min(1, load.mean.Seconds()/float64(workers)/median(attended))
		}
	}
	values["memory"] = p.memory() / float64(workers)
	values["ranks"] = keptForRanks(workers) / float64(workers)
	values["both"] = values["memory"] + values["ranks"]
	return nil
}

const (
	mostCalls  = 1 << 20 // each takes memory while it waits
	mostRounds = 25
)

// callsEach is how many calls there are for each worker where there would be so many tasks.
func callsEach(workers, each int) int { return max(1, min(each, mostCalls/workers)) }

func newSimulated(workers int) *simulated {
	p := &simulated{look: time.Hour, workers: workers, bests: map[[2]int]time.Duration{}}
	for range 100 {
		begin := threadTime()
		for range 10 {
			threadTime()
		}
		p.look = min(p.look, (threadTime()-begin)/11)
	}
	config := &dispatch.VirtualConfig{Hello: dispatch.Hello{Pid: 1, Procs: 1, Host: "node"}, Call: func(fn uint32, args, out []byte) (time.Duration, []byte, []byte) {
		x, _ := binary.Uvarint(args)
		return workloads[fn].took(x), append(out, args...), nil
	}}
	p.group = simlink.New(simlink.Config{
		Slots: workers, Latency: simLatency, Jitter: simJitter, Bandwidth: simBandwidth, Clock: threadTime,
		Traits: &link.Traits{Kind: mpilink.Kind, Spread: true},
		Flush:  func() { p.master.Flush() },
		Worker: func(port *simlink.Port) simlink.Worker {
			v := dispatch.NewVirtual(config, port)
			p.virtual = append(p.virtual, v)
			return v
		},
	})
	p.master = dispatch.New(dispatch.Config{
		Group: p.group, Aside: func(f func()) { f() }, Start: time.Hour, Liveness: time.Hour,
		DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	return p
}

// start starts the workers. It returns what that took of the master, in processor time: another goroutine makes and starts them.
func (p *simulated) start(ctx context.Context) (time.Duration, error) {
	begin := processTime()
	if err := p.master.Boot(); err != nil {
		return 0, err
	}
	if err := p.group.Run(ctx, func() bool { return true }); err != nil { // it waits for that goroutine
		return 0, err
	}
	took := processTime() - begin
	booted := p.master.Booted()
	err := p.group.Run(ctx, func() bool {
		select {
		case <-booted:
			return true
		default:
			return false
		}
	})
	return took + p.taken(p.group.TakeSpent()), err
}

func (p *simulated) taken(s simlink.Spent) time.Duration {
	return max(0, s.Time-time.Duration(s.Looks)*p.look)
}

// outcome is what tasks have taken.
type outcome struct {
	spent    time.Duration // of the master
	messages int
	took     time.Duration // virtual, from the first to the last
	best     time.Duration // the least that it could have been
}

// best is how long the first n tasks of a workload take when whoever is free takes the next one, and nothing else takes time.
// It is what a scheduler can be held to that does not know how long a task will take; another order may be better by chance.
func (p *simulated) best(fn, n int) time.Duration {
	key := [2]int{fn, n}
	if b, ok := p.bests[key]; ok {
		return b
	}
	free := make(ends, p.workers)
	for x := range n {
		free[0] += workloads[fn].took(uint64(x))
		if free[0] > 0 {
			heap.Fix(&free, 0)
		}
	}
	p.bests[key] = slices.Max(free)
	return p.bests[key]
}

// ends is a heap of when workers are free.
type ends []time.Duration

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i] < e[j] }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (ends) Push(any)             {}
func (ends) Pop() any             { return nil }

// run has tasks run, and waits for their end.
func (p *simulated) run(ctx context.Context, fn, n int) (outcome, error) {
	load := workloads[fn]
	s := &counter{left: n, now: p.group.Now}
	units := func(first, n int) *dispatch.Job {
		j := &dispatch.Job{Func: uint32(fn), Units: n, Sink: s}
		for x := range n {
			begin := len(j.Data)
			j.Data = dispatch.CloseUnit(binary.AppendUvarint(dispatch.OpenUnit(j.Data), uint64(first+x)), begin, nil, false)
		}
		return j
	}
	var o outcome
	o.best = p.best(fn, n)
	var jobs []*dispatch.Job
	if load.calls {
		for x := range n {
			jobs = append(jobs, units(x, 1))
		}
	} else {
		jobs = append(jobs, units(0, n))
	}
	runtime.GC() // not in the midst of it, for what was before
	p.group.TakeSpent()
	first, begin := p.group.Now(), threadTime()
	for _, j := range jobs {
		if err := p.master.Submit(j); err != nil {
			return o, err
		}
	}
	o.spent = max(0, threadTime()-begin-p.look)
	if err := p.group.Run(ctx, func() bool { return s.left <= 0 }); err != nil {
		return o, err
	}
	if s.err != nil {
		return o, s.err
	}
	spent := p.group.TakeSpent()
	o.spent += p.taken(spent)
	o.messages = spent.Received + spent.Sent
	o.took = s.last - first
	return o, nil
}

// counter is a dispatch.Sink that counts. All that it is told comes from one goroutine.
type counter struct {
	left int
	now  func() time.Duration
	last time.Duration
	err  error
}

func (c *counter) Claim(int, int) bool { return true }
func (c *counter) Unclaim(int, int)    {}

func (c *counter) Results(_, n int, _ []byte, _ [][]byte, _ *dispatch.Record) bool {
	if c.left -= n; c.left == 0 {
		c.last = c.now()
	}
	return false
}

func (c *counter) Part(_ int, p dispatch.Part) {
	c.err = fmt.Errorf("a task has failed: %w", p.Err)
	c.left--
}

func (c *counter) Drop(_, n int, why error) {
	c.err = fmt.Errorf("a task was dropped: %w", why)
	c.left -= n
}

// memory is what the master has in memory while its workers have nothing to do. The pool is closed by that.
func (p *simulated) memory() float64 {
	with := heapInUse()
	_, _ = p.master.Shutdown(context.Background(), true, true)
	p.master = nil
	without := heapInUse()
	runtime.KeepAlive(p.group) // which has let go of the master
	runtime.KeepAlive(p.virtual)
	return float64(with) - float64(without)
}

// keptForRanks is what the group of an MPI job keeps for so many ranks.
func keptForRanks(n int) float64 {
	without := heapInUse()
	kept := mpilink.Kept(n)
	with := heapInUse()
	runtime.KeepAlive(kept)
	return float64(with) - float64(without)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
