//go:build race

package futures

import (
	"runtime"
	"sync"
)

// reading is goroutines that read what is sent from where it is, once and without any lock, as the workers do: for the race
// detector, who is to report whoever writes there before the future is done. Workers read from another process, of which it
// does not know.
type reading struct{ done *sync.WaitGroup }

// mostReaders keeps away from the most goroutines that the race detector can follow, which are 8128.
const mostReaders = 4096

// read begins to read.
func read(segments [][]byte) reading {
	if len(segments) == 0 {
		return reading{}
	}
	r := reading{new(sync.WaitGroup)}
	var read sync.WaitGroup
	for _, s := range segments {
		if runtime.NumGoroutine() > mostReaders {
			break
		}
		r.done.Add(1)
		read.Add(1)
		go func() {
			defer r.done.Done()
			var page [4 << 10]byte
			for ; len(s) > 0; s = s[copy(page[:], s):] {
			}
			unseen(read.Done)
		}()
	}
	// The detector drops a race whose earlier access lies too far back in the history of a goroutine that has done much since. So the
	// reads come first, and whoever writes later is caught in the act. That they came first is no secret, but kept from the detector: it
	// would take the writes for ordered.
	unseen(read.Wait)
	return r
}

// join comes before the future is done, so that the holder of its result may write. It waits no longer than a copy takes.
func (r reading) join() {
	if r.done != nil {
		r.done.Wait()
	}
}

// unseen calls f without the detector taking its synchronisation for an order.
func unseen(f func()) {
	runtime.RaceDisable()
	defer runtime.RaceEnable()
	f()
}
