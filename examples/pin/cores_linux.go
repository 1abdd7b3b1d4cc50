package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pinCore has this process run on one of the cores that it may run on, the same one for the same number.
func pinCore(number int) error {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	all := list(&may)
	var one unix.CPUSet
	one.Set(all[number%len(all)])
	// The call is about one thread. Threads that begin later have what the thread that began them has, so when a look finds none that
	// is new, all have it.
	for done := map[int]bool{}; ; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(done)
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id] = true
			if err := unix.SchedSetaffinity(id, &one); err != nil && err != unix.ESRCH { // it may have ended
				return fmt.Errorf("sched_setaffinity: %w", err)
			}
		}
		if len(done) == before {
			return nil
		}
	}
}

// cores names the cores that this thread may run on.
func cores() string {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return err.Error()
	}
	var names []string
	for _, c := range list(&may) {
		names = append(names, strconv.Itoa(c))
	}
	return strings.Join(names, ",")
}

func list(set *unix.CPUSet) (all []int) {
	for c := range 8 * len(set) * (strconv.IntSize / 8) {
		if set.IsSet(c) {
			all = append(all, c)
		}
	}
	return all
}
