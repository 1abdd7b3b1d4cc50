package life

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/status"
)

// loaded is when this process began to be a program.
var loaded = time.Now()

// Status returns what the program does, with so many workers of each executor at most.
func Status(workers int) status.Program {
	s := status.Program{At: time.Now(), Program: "program", Pid: os.Getpid(), Begun: loaded, Draining: Draining(), Executors: []status.Executor{}}
	if name, err := os.Executable(); err == nil {
		s.Program = filepath.Base(name)
	}
	s.Host, _ = os.Hostname()
	for _, p := range openPools() {
		if state, _ := p.Master().State(); state == dispatch.Closed { // it is forgotten in a moment
			continue
		}
		e := p.Status(workers)
		e.Number = p.number
		s.Executors = append(s.Executors, e)
	}
	for _, e := range brokenPools() {
		s.Executors = slices.DeleteFunc(s.Executors, func(o status.Executor) bool { return o.Number == e.Number }) // it ended in between
		s.Executors = append(s.Executors, e)
	}
	slices.SortFunc(s.Executors, func(a, b status.Executor) int { return a.Number - b.Number })
	return s
}
