//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// leaveLimit is how long the end of Main waits for ranks that do not answer any more.
const leaveLimit = 10 * time.Second

// followLimit is how long a rank that has said goodbye waits for the others. It is the master that aborts a job which does
// not end: two that do so at once confuse Open MPI's mpiexec.
const followLimit = 6 * leaveLimit

// ranks is the MPI job as this process sees it.
type ranks struct {
	sync.Mutex
	warned   map[string]bool // what the user has been told
	shared   *mpilink.Hub    // the world's other ranks, in its rank 0; every executor shares them
	joined   bool            // an executor uses them, or has
	serves   bool            // this process is one of them, or was spawned
	farewell *farewell       // in a program that runs on every rank; nil in others
}

// here is the job of this process.
var here ranks

// This is the job of this process.
var This Job = &here

// Built implements Job.
func (*ranks) Built() bool { return true }

// Leads implements Job.
func (r *ranks) Leads() bool {
	r.Lock()
	defer r.Unlock()
	return r.shared != nil
}

// Serves implements Job.
func (r *ranks) Serves() bool {
	r.Lock()
	defer r.Unlock()
	return r.serves
}

// startMPI initialises MPI unless that has been done, and says once what is odd about it.
func startMPI() (*mpi.Environment, error) {
	level, err := threadLevel(os.Getenv(EnvThreads))
	if err != nil {
		return nil, err
	}
	if launched() && !mpi.Started() {
		defer Muster()()
	}
	env, err := mpi.Init(mpi.Options{Level: level})
	if err != nil {
		return nil, err
	}
	if parent, err := mpi.Parent(); env.Launcher.Rank <= 0 && parent == nil && err == nil { // the others tell this one
		for _, w := range env.Warnings {
			if here.firstTime(w) {
				printWarning("", w)
			}
		}
	}
	return env, nil
}

// firstTime tells whether the user has not been told this yet, however many ranks have it to say.
func (r *ranks) firstTime(text string) bool {
	r.Lock()
	defer r.Unlock()
	if r.warned[text] {
		return false
	}
	if r.warned == nil {
		r.warned = map[string]bool{}
	}
	r.warned[text] = true
	return true
}

// notes prints what ranks have to tell the user. The goroutine that hears it polls for all ranks, and standard error may be a pipe that
// nobody reads.
var notes lane.Lane

// noted takes what a rank has to tell the user.
func noted(rank int, text string) {
	if here.firstTime(text) {
		notes.Add(func() { printWarning(fmt.Sprintf("rank %d: ", rank), text) })
	}
}

// printNotes waits until the notes that have come are printed, but not for long.
func printNotes() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = notes.Drain(ctx)
}

// threadLevel reads the name of a level.
func threadLevel(name string) (mpi.ThreadLevel, error) {
	switch strings.ToLower(name) {
	case "", "multiple":
		return mpi.Multiple, nil
	case "serialized":
		return mpi.Serialized, nil
	case "funneled":
		return mpi.Funneled, nil
	case "single":
		return mpi.Single, nil
	}
	return 0, fmt.Errorf("futures: %s=%q is unknown; use multiple, serialized, funneled or single", EnvThreads, name)
}

// linkOptions are the choices of both ends of the link.
func linkOptions() (mpilink.Options, error) {
	o := mpilink.Options{Noted: noted}
	switch v := os.Getenv(EnvStage); strings.ToLower(v) {
	case "1", "true", "yes", "on", "y":
		o.Stage = true
	case "", "0", "false", "no", "off", "n":
	default:
		return o, fmt.Errorf("futures: %s=%q is neither yes nor no; use 1 or 0", EnvStage, v)
	}
	return o, nil
}

func launched() bool { return mpi.FindLauncher(os.LookupEnv).Found() }

// Launched implements Job.
func (r *ranks) Launched() bool { return !r.Serves() && launched() }

// WillServe implements Job.
func (*ranks) WillServe() bool {
	l := mpi.FindLauncher(os.LookupEnv)
	_, asked := os.LookupEnv(EnvServe)
	return l.Found() && (asked || l.Rank > 0 || mpi.Spawned(os.LookupEnv))
}

// Loading implements Job.
func (r *ranks) Loading() bool {
	if r.WillServe() {
		return true
	}
	if mpi.FindLauncher(os.LookupEnv).Size != 1 {
		return false
	}
	if _, err := startMPI(); err != nil {
		return false // Main will say so
	}
	parent, err := mpi.Parent()
	return err == nil && parent != nil
}

// Abort implements Job. MPICH's launcher takes no notice of a process that
// ends before it has initialised MPI, so that is done first; the others may never get that far, hence the limit.
func (r *ranks) Abort(status int) {
	if !launched() && !mpi.Started() {
		return
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		_, _ = mpi.Init(mpi.Options{})
	}()
	select {
	case <-started:
		time.Sleep(PrintPause)
		if !mpi.Started() { // the library is missing on this host, and others wait in MPI_Init
			askForTheEnd()
			return
		}
		_ = mpi.Abort(status)
	case <-time.After(leaveLimit):
	}
}
