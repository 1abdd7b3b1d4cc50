//go:build !mpi || !unix

package job

// LauncherLoss is nil: no launcher tells of lost ranks by a signal here.
func LauncherLoss() *LossSignal { return nil }
