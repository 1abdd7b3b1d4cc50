//go:build unix

package mpitest

import (
	"os/exec"
	"regexp"
	"strconv"
	"sync"
)

// Version is that of the library whose launcher is installed under a name, "openmpi" or "mpich". What differs between versions
// is told by it, here and nowhere else; a version that cannot be told is 0.
type Version struct {
	Launcher     string
	Major, Minor int
}

var number = regexp.MustCompile(`(?:\(Open MPI\)|\(OpenRTE\)|Version:) +(\d+)\.(\d+)`)

var versions sync.Map // launcher → func() Version

// VersionOf asks a launcher, once.
func VersionOf(launcher string) Version {
	once, _ := versions.LoadOrStore(launcher, sync.OnceValue(func() Version {
		name := "mpiexec." + launcher
		if _, err := exec.LookPath(name); err != nil {
			name = "mpiexec"
		}
		out, _ := exec.Command(name, "--version").CombinedOutput()
		return readVersion(launcher, string(out))
	}))
	return once.(func() Version)()
}

func readVersion(launcher, text string) Version {
	v := Version{Launcher: launcher}
	if m := number.FindStringSubmatch(text); m != nil {
		v.Major, _ = strconv.Atoi(m[1])
		v.Minor, _ = strconv.Atoi(m[2])
	}
	return v
}

// PRRTE tells whether the launcher is Open MPI's since version 5, which is another program than before.
func (v Version) PRRTE() bool { return v.Launcher == "openmpi" && v.Major >= 5 }

// Passes tells whether mpiexec passes a program's status on although it was told to leave the other ranks alive. Open MPI's ended
// with 0 then before version 5.
func (v Version) Passes() bool { return v.Launcher != "openmpi" || v.PRRTE() }

// NameServer is what programs that are started apart connect by, for a launcher of Open MPI: a command that says in the file uri where
// it is, and the options with which mpiexec starts a program that uses it. Since version 5 it is a DVM, the daemons of both.
func NameServer(launcher, uri string) (server Command, options []string) {
	if VersionOf(launcher).PRRTE() {
		return Command{Args: []string{"prte", "--report-uri", uri}, Env: asRoot}, []string{dvm, "uri:file:" + uri}
	}
	return Command{Args: []string{"ompi-server", "--no-daemonize", "-r", uri}, Env: asRoot}, []string{"--ompi-server", "file:" + uri}
}

// WakesTasks tells whether the library has a call that waits for a lost rank fail. Open MPI does since version 5.
func (v Version) WakesTasks() bool { return v.PRRTE() }

// RunsTwoPrograms tells whether mpiexec can start different programs as the ranks of one job. PRRTE 3 crashes.
func (v Version) RunsTwoPrograms() bool { return !v.PRRTE() }

// LosesStatus tells whether mpiexec may end with 0 after ranks that have ended with another status, behind MPI_Finalize and without libc's
// exit handlers, in one of which MPICH says goodbye since 4.2.
func (v Version) LosesStatus() bool {
	return v.Launcher == "mpich" && (v.Major > 4 || v.Major == 4 && v.Minor >= 2)
}

// BearsThreads tells whether several threads may send and receive at once. Under Open MPI 6.0.0rc2 messages do not come then.
func (v Version) BearsThreads() bool { return v.Launcher != "openmpi" || v.Major < 6 }

// MakesIntercomms tells whether the library makes intercommunicators while it mitigates failures. Open MPI 6.0.0rc2 does not.
func (v Version) MakesIntercomms() bool { return v.Launcher != "openmpi" || v.Major < 6 }
