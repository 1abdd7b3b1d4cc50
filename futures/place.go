package futures

import (
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// entry is what becomes of a call or a gang is recorded under, and its place among equal ones, which it gives back when it will never run. The sink of its job has it.
type entry struct {
	key resultlog.Key
	log *resultlog.Log // nil: it is not recorded

	mu    sync.Mutex
	place resultlog.Place
	over  bool // it will never run
}

// placed is a sink that has an entry, and perhaps nothing in it.
type placed interface{ never() }

// take notes what was counted. It may be over by then.
func (e *entry) take(log *resultlog.Log, counted resultlog.Entry) {
	e.mu.Lock()
	e.log, e.key, e.place = log, counted.Key(), counted.Place()
	over := e.over
	e.mu.Unlock()
	if over {
		e.never()
	}
}

// never says that the call has not run and will not, once or several times.
func (e *entry) never() {
	e.mu.Lock()
	e.over = true
	place, log := e.place, e.log
	e.place = resultlog.Place{}
	e.mu.Unlock()
	if log != nil {
		log.GiveBack(place)
	}
}

// neverRuns says that of the call of a job, or of the gang.
func neverRuns(j *dispatch.Job) {
	if s, ok := j.Sink.(placed); ok {
		s.never()
	}
}
