package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link/slots"
)

// WithSlots makes each local process, or each rank of an MPI job, run up to n tasks at the same time, on goroutines. Each of these slots is
// a worker: it has its own number ([Worker], [Stats]) and its own states ([RegisterState]), and [SubmitEach] counts it. So [WithMaxWorkers]
// sets the number of processes, and NumWorkers is n times that. Without [WithMaxWorkers] the number of local processes is the number of
// cores divided by n, but at least one. Without WithSlots RANKPOOL_SLOTS decides: a number, or auto, the cores that each process may use;
// each rank is assumed to have as many as the master's process. Otherwise n is 1. In a task, and for a thread pool, the variable has no
// effect.
//
// The slots of a process share its memory, its globals (one copy, which tasks only read) and the run of the initializer. Package-level
// variables are shared too, so tasks that write to them need locks. GOMAXPROCS of a local process is the cores divided by the number of
// processes; a rank has what its launcher gives it. The environment and the name of a process contain its own number and the number of
// processes, not those of workers.
//
// A process that dies costs one task per slot, the one that ran there, and no other. A task that ignores the end of its context ends the
// process, as without slots. The other slots first finish what they run, for which they have [WithStopTimeout]. Tasks that still run then
// are lost with a [*BrokenError] that says why. [WithMaxTasksPerChild] counts the tasks of all slots of a process. Programs that a task has
// started and left end with the process, and not with the task whose context had ended.
//
// A lost rank costs what its slots ran or had been handed, and its slots stay empty. In a rank nothing can end a task that ignores the end
// of its context. The task fails and is abandoned, its slot is taken until it returns, and the other slots go on. [WithMaxTasksPerChild] is
// refused, as without slots. Executors that share the ranks take turns, one task at a time in each rank, but those with slots run their
// tasks beside the others. An MPI communicator (package mpicomm, or a handle of one) has one member per rank, so it is refused with several
// slots; the operations of package comm work. The number of spawned ranks is [WithMaxWorkers], or without it the room that there is,
// divided by n.
//
// If the workers are goroutines there are n times as many.
func WithSlots(n int) Option {
	return option(func(c *config) error {
		if err := checkSlots(n); err != nil {
			return fmt.Errorf("WithSlots(%d): %w", n, err)
		}
		c.slots = n
		return nil
	})
}

func checkSlots(n int) error {
	switch {
	case n < 1:
		return errors.New("a process must have at least 1 slot")
	case n > slots.Most:
		return fmt.Errorf("a process can have %d slots at most; use more processes (WithMaxWorkers)", slots.Most)
	}
	return nil
}

// autoSlots is RANKPOOL_SLOTS=auto.
const autoSlots = -1

// readSlots reads RANKPOOL_SLOTS; 0 is not set.
func readSlots() (int, error) {
	v := os.Getenv(envSlots)
	switch {
	case v == "":
		return 0, nil
	case strings.EqualFold(v, "auto"):
		return autoSlots, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fmt.Errorf("futures: %s=%q is not a number of slots; use 1 or more, or auto", envSlots, v)
	}
	if err := checkSlots(n); err != nil {
		return 0, fmt.Errorf("futures: %s=%q: %w", envSlots, v, err)
	}
	return n, nil
}

// chooseSlots says how many slots each process has, and how many processes there are.
func (e *executor) chooseSlots(env environment) (slots, processes int) {
	slots, processes = 1, e.chooseWorkers(env)
	if n := env.slots; n != 0 && !life.InWorker() {
		slots = n
	}
	if e.cfg.slots > 0 {
		slots = e.cfg.slots
	}
	if e.backend == backendMPI { // how many ranks there are is the launcher's business, and each has what it may use
		if slots == autoSlots {
			slots = cores()
		}
		return slots, processes
	}
	counted := e.comm != nil || e.cfg.workers > 0 || env.workers > 0 || life.InWorker() && e.class != threadClass
	switch {
	case slots == autoSlots && counted:
		slots = max(1, cores()/processes)
	case slots == autoSlots:
		slots, processes = cores(), 1
	case slots > 1 && !counted:
		processes = max(1, processes/slots)
	}
	return slots, processes
}

// slotService is what the slots of a worker process do.
func slotService() dispatch.Service { return slotsOf(processService()) }

// slotsOf is what the workers of a process do that are its slots: the first sets it up as s says, for all of them; the others wait for that.
func slotsOf(s dispatch.Service) dispatch.Service {
	once, over := new(initialization), make(chan struct{})
	var first context.Context
	var threshold int
	setup := s.Setup
	all := newGenerations()
	s.Together, s.Values = true, func() dispatch.Values { return all }
	s.Setup = func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) {
		if len(b) > 0 {
			defer close(over)
			context.AfterFunc(ctx, all.end)
			err := once.run(ctx, func(ctx context.Context) (err error) {
				threshold, first, err = setup(ctx, b, segments)
				return err
			})
			return threshold, first, err
		}
		select {
		case <-over:
		case <-ctx.Done():
			return 0, nil, context.Cause(ctx)
		}
		if once.err != nil {
			return 0, nil, once.err
		}
		ctx, err := enterAlso(serveMaster(ctx), first)
		if err != nil {
			return 0, nil, err
		}
		return threshold, withStates(context.WithValue(ctx, globalsKey{}, first.Value(globalsKey{}))), nil
	}
	return s
}

// slotNames is what a process with so many slots is called in what tells its output apart: its workers.
func slotNames(process, slots int) string {
	if slots == 1 {
		return strconv.Itoa(process)
	}
	return fmt.Sprintf("%d-%d", process*slots, process*slots+slots-1)
}
