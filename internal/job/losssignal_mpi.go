//go:build mpi && unix

package job

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// LauncherLoss is the signal of this process's launcher: MPICH's, which was told to leave the other ranks alive, has no
// other way to say that it lost one. It is nil under other launchers.
var LauncherLoss = sync.OnceValue(func() *LossSignal {
	if mpi.FindLauncher(os.LookupEnv).Family != mpi.MPICH {
		return nil
	}
	return &LossSignal{Signal: syscall.SIGUSR1, Losses: mpilink.Losses, Say: func(text string) {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", text) // each time
	}}
})
