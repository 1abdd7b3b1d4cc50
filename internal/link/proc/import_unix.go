//go:build unix

package proc

import "os"

// The two things that a process of a program must be before its own code runs: its guardian, which is this program but
// must not run that code, or a worker, which has a name of its own and which a signal to the whole process group does not end while
// it starts. Nothing else of rankpool reads the environment when it is imported.
func init() {
	becomeGuardian()
	if value := os.Getenv(variable); value != "" {
		LeaveSignals()
		takeName(value)
	}
}
