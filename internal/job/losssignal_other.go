//go:build !(mpi && linux && (amd64 || arm64))

package job

import "time"

// LauncherLoss is nil: no launcher tells of lost ranks by a signal here.
func LauncherLoss() *LossSignal { return nil }

// EndedForLoss is empty: no launcher ends the job for a lost rank here.
func EndedForLoss(time.Time) string { return "" }
