//go:build mpi && cgo && unix

package futures

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// launcherLoss is the signal of this process's launcher: MPICH's, which was told to leave the other ranks alive, has no
// other way to say that it lost one. It is nil under other launchers.
var launcherLoss = sync.OnceValue(func() *lossSignal {
	if mpi.FindLauncher(os.LookupEnv).Family != mpi.MPICH {
		return nil
	}
	return &lossSignal{signal: syscall.SIGUSR1, losses: mpilink.Losses, say: func(text string) {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", text) // each time
	}}
})
