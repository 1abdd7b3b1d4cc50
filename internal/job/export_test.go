package job

import "io/fs"

// Missing says which ranks of a process's job are not there, and whether that is known.
func Missing(proc fs.FS, self int) (text string, known bool) {
	r, known := callRoll(proc, self)
	return r.missing(), known
}

// The bounds of what a loss explains.
const (
	LossHold   = lossHold
	LossMemory = lossMemory
)

// LauncherEnv is launcherEnv.
var LauncherEnv = launcherEnv
