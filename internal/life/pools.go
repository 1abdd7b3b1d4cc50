// Package life is the life of a program that has pools: its main function, the signals that end it, and its end.
package life

import (
	"context"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// Pool is an executor as the end of its program sees it.
type Pool interface {
	Master() *dispatch.Master
	Drain() // what is queued fails, and nothing begins any more

	// These forbid further calls and wait for the workers to leave, or until ctx ends.
	Finish(ctx context.Context) error // when everything queued has run
	Cut(ctx context.Context) error    // what is queued is cancelled, and the contexts of what runs end
	GiveUp(ctx context.Context) error // what is queued is cancelled; what runs has the grace of the program
}

// open is the set of pools that have started, for the end of the program.
var open struct {
	sync.Mutex
	set     []*Pool
	badEnds []error // of workers of pools that are closed
}

// Track remembers a pool until closed is called, with the error of its workers.
func Track(p Pool) (closed func(err error)) {
	key := &p
	open.Lock()
	defer open.Unlock()
	open.set = append(open.set, key)
	if draining.Load() { // it began while the others were told
		go p.Drain()
	}
	return func(err error) {
		open.Lock()
		defer open.Unlock()
		if err != nil {
			open.badEnds = append(open.badEnds, err)
		}
		open.set = slices.DeleteFunc(open.set, func(o *Pool) bool { return o == key })
	}
}

func openPools() (all []Pool) {
	open.Lock()
	defer open.Unlock()
	for _, p := range open.set {
		all = append(all, *p)
	}
	return all
}
