package job

import (
	"io/fs"
	"sync"
)

// launcherEnv looks variables up in the environment that self's launcher was started with, where that runs on this host and may be looked at.
// A launcher does not hand on all of it. All processes of the host are looked at for that, once, when a variable is asked for.
func launcherEnv(proc fs.FS, self int) func(name string) (string, bool) {
	env := sync.OnceValue(func() map[string]string {
		env, _ := environOf(proc, launcherOf(proc, parentsIn(proc), self)) // empty where there is none
		return env
	})
	return func(name string) (string, bool) {
		value, ok := env()[name]
		return value, ok
	}
}
