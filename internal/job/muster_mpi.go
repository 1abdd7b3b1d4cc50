//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// While MPI starts, a rank looks so often for the others of its host. Those that are missing for so many looks in a row have
// ended: until then the launcher may still be about to start them, one after another, from a slow file system. After the
// limit a rank says that it waits.
const (
	musterTurn  = 2500 * time.Millisecond
	musterLooks = 5
	musterLimit = 30 * time.Second
	aloneLimit  = 5 * time.Minute // for MPI_Init of a job's only rank, which waits for its launcher and for the library's files, and for nobody else
)

// Muster ends this process, and the job as far as one rank can, when MPI_Init waits for a rank of this host that has ended:
// it would wait without end, and the launchers that were told to leave the other ranks alone, and MPICH's in any case when the
// rank ended with a status, do not mind. Ranks on other hosts cannot be seen. It also ends the only rank of a job whose MPI_Init does not
// return: its launcher has lost a message. stop must be called when MPI has started.
func Muster() (stop func()) { return muster(musterTurn, aloneLimit) }

func muster(turn, alone time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticks := time.NewTicker(turn)
		defer ticks.Stop()
		before, looks, said := "", 0, false
		took := time.Duration(0) // by the turns: a job may be suspended meanwhile
		l := mpi.FindLauncher(os.LookupEnv)
		only := l.Size == 1 && !mpi.Spawned(os.LookupEnv)
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
			}
			took += turn
			if only {
				switch {
				case took >= alone:
					fmt.Fprintf(os.Stderr, "rankpool: MPI_Init has waited for %v in the job's only rank, so its launcher does not answer, and this process ends: "+
						"start the program again\n", took)
					leaveUnstarted(done)
				case took >= musterLimit && !said:
					said = true
					fmt.Fprintf(os.Stderr, "rankpool: MPI_Init has waited for %v in the job's only rank: its launcher does not answer, or the library loads slowly; "+
						"this process ends after %v\n", took, alone)
				}
				continue
			}
			r, known := callRoll(os.DirFS("/proc"), os.Getpid())
			if !known {
				return
			}
			gone := r.missing()
			if gone != before {
				before, looks = gone, 0
			}
			if looks++; gone != "" && looks >= musterLooks {
				giveUpJob(r, gone, done)
			}
			if gone == "" && took >= musterLimit && !said && first(r) {
				said = true
				who := "one of another host has ended before futures.Main, or"
				if len(r.here) == r.world {
					who = "their launcher does not answer, or one of them"
				}
				fmt.Fprintf(os.Stderr, "rankpool: MPI_Init has waited for %v; the %d ranks of this host are there, so %s is kept by what the program "+
					"does before futures.Main (package variables, init, main)\n", took, len(r.here), who)
			}
		}
	}()
	return func() { close(done) }
}

// first tells whether this rank speaks for its host.
func first(r roll) bool { return r.here[0] == mpi.FindLauncher(os.LookupEnv).Rank }

// giveUpJob ends this process because ranks of its host have gone. The others leave the first one the time to look and to say so: the
// first that ends may take all along.
func giveUpJob(r roll, gone string, started <-chan struct{}) {
	if !first(r) {
		time.Sleep(2 * musterTurn)
	} else {
		fmt.Fprintf(os.Stderr, "rankpool: %s ended before MPI had started, which needs all of them, so this job ends: look at what the "+
			"program does before futures.Main (package variables, init, main) there, and at what it printed\n", gone)
	}
	leaveUnstarted(started)
}

// leaveUnstarted ends this process with its job, unless MPI has started after all.
func leaveUnstarted(started <-chan struct{}) {
	select {
	case <-started:
		return
	case <-time.After(PrintPause):
	}
	askForTheEnd()
	os.Exit(ExitFailure)
}

// askForTheEnd has MPICH's launcher end the job of a rank that has not initialised MPI. It takes no notice of the end of such a one.
func askForTheEnd() {
	if fd, err := strconv.Atoi(os.Getenv("PMI_FD")); err == nil && fd > 2 && mpi.FindLauncher(os.LookupEnv).Family == mpi.MPICH {
		// The descriptor is the library's too, so it is not closed, and one write is one request.
		_, _ = fmt.Fprintf(os.NewFile(uintptr(fd), "PMI"), "cmd=abort exitcode=%d\n", ExitFailure)
		time.Sleep(time.Second)
	}
}
