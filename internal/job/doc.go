// Package job is the MPI job that this process belongs to, or would belong to: what a launcher does to its processes beside
// starting them, and what a program has to do about it.
package job

import "time"

// ExitFailure is the exit status of a process of a job that cannot go on.
const ExitFailure = 1

// PrintPause is how long an abort waits for what was printed before: MPICH's mpiexec drops what it has not read by then, and
// so does the srun of a step that lost a task, once the last one has ended.
const PrintPause = 200 * time.Millisecond
