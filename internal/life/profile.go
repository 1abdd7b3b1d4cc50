package life

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/profile"
)

// profileGrace is how much longer what runs, and what is to be written then, may take while profiles are taken, after a signal after which nobody kills.
const profileGrace = 10 * time.Second

// profileRest is that, or nothing. It is written before anything reads it.
var profileRest time.Duration

// profile begins to profile this process, if it is to be, and returns what writes the profiles. Of a program that runs on every rank rank
// 0 speaks for the others, as they would all say the same.
func (p Program) profile() (end func()) {
	who, speaks := "master", true
	if rank := mpi.FindLauncher(os.LookupEnv).Rank; everywhere && rank >= 0 {
		who, speaks = "rank-"+strconv.Itoa(rank), rank == 0
	}
	tell := func(err error) {
		if err != nil && speaks {
			job.Warn(err.Error())
		}
	}
	session, err := profile.Start(who, !p.Test || !testsAreProfiled(os.Args))
	tell(err)
	if session != nil {
		profileRest = profileGrace
	}
	return func() { tell(session.End()) }
}

// testsAreProfiled tells whether package testing is going to take a CPU profile.
func testsAreProfiled(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return name == "-test.cpuprofile" || name == "--test.cpuprofile"
	})
}

// profileWorker begins to profile this process, a worker of a master on this machine, which says why if that cannot be.
func profileWorker(ep link.Endpoint) *profile.Session {
	number, slots := 0, 1
	if e, ok := ep.(interface{ Slot() int }); ok {
		number = e.Slot()
	}
	if j, ok := ep.(link.Journals); ok {
		slots = len(j.Journals())
	}
	who := "worker-" + strconv.Itoa(number*slots)
	if slots > 1 {
		who += "-" + strconv.Itoa(number*slots+slots-1)
	}
	s, _ := profile.Start(who, true)
	return s
}
