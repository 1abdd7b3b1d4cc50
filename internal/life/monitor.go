package life

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/logs"
	"github.com/rankpool/rankpool/internal/mpi"
)

// MonitorVariable says where a program shows what it does: see package monitor.
const MonitorVariable = "RANKPOOL_MONITOR"

// Monitor serves what a program does at an address, and returns what to tell of it, and what ends it. When it cannot, the error says why.
type Monitor func(address string) (where string, end func(context.Context), err error)

// offered is what package monitor brings, in programs that import it.
var offered atomic.Pointer[Monitor]

// OfferMonitor has the variable work.
func OfferMonitor(m Monitor) { offered.Store(&m) }

var monitorOnce sync.Once

// StartMonitor begins to show what the program does, if the variable says so, once, in the master. It does not block: the place may be a file
// system that hangs.
func StartMonitor() {
	address := os.Getenv(MonitorVariable)
	if address == "" || InWorker() || Everywhere() && mpi.FindLauncher(os.LookupEnv).Rank > 0 {
		return
	}
	monitorOnce.Do(func() {
		m := offered.Load()
		if m == nil {
			Complaints().Warn("rankpool: " + MonitorVariable + " is set, and the program does not import github.com/rankpool/rankpool/monitor: nothing is shown; " +
				"add an import of that package, for its effect alone: _")
			return
		}
		end := make(chan func(context.Context), 1)
		AtEnd(func(ctx context.Context) {
			select {
			case f := <-end:
				f(ctx)
			case <-ctx.Done():
			}
		})
		go func() {
			where, f, err := (*m)(address)
			if err != nil {
				end <- func(context.Context) {}
				Complaints().Warn("rankpool: nothing is shown of the program", MonitorVariable, address, "err", err)
				return
			}
			end <- f // before a line that may wait: standard error may be a pipe that nobody reads
			fmt.Fprintf(logs.Survivor(os.Stderr), "rankpool: monitor: %s\n", where)
		}()
	})
}
