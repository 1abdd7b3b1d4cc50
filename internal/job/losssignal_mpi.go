//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

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

// lossAge is how old a loss may be when the launcher ends the job for it: Open MPI's does so a quarter of a second after, or a second before version 5.
const lossAge = 3 * time.Second

// EndedForLoss says what to tell a user whose job got a SIGTERM at a time, when the launcher may have sent it because a rank was lost, or
// nothing.
func EndedForLoss(at time.Time) string {
	if mpilink.LastLoss().Before(at.Add(-lossAge)) {
		return ""
	}
	how := leaveAdvice()
	if how == "" {
		return ""
	}
	return "a rank was lost, and the launcher ends the job for that unless it was told to leave the others alone: start it with " + how
}

// leaveAdvice is mpi.LeaveAdvice for this process.
func leaveAdvice() string {
	return mpi.LeaveAdvice(os.LookupEnv, launcherEnv(os.DirFS("/proc"), os.Getpid()))
}
