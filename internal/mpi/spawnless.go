package mpi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Spawnless says why this process cannot spawn others, and how to start the program instead. Both are empty where it may be able to: only
// what is known beforehand counts, because an attempt prints a page of the library's own, or never returns. MPI must have been started.
func Spawnless() (why, instead string, err error) {
	runtimeState.mu.Lock()
	env := runtimeState.env
	runtimeState.mu.Unlock()
	world, err := World()
	if err != nil {
		return "", "", err
	}
	const mpiexec = "`mpiexec -n N`"
	switch e := environ(os.LookupEnv); {
	case env.Launcher.Strange(), env.Launcher.OfEvery() && !env.Launcher.Srun():
		return env.Launcher.Name + " starts no processes for a program that runs", "several processes by that launcher", nil
	case env.Launcher.Srun():
		return env.Launcher.Name + " starts no processes for a program that runs", "`srun -n N`", nil
	case env.Family == OpenMPI && strings.HasPrefix(env.Library, "Open MPI v4."):
		universe, known, err := UniverseSize()
		if err != nil || !known || universe > world.Size() || e.oversubscribed() {
			return "", "", err
		}
		return "Open MPI's mpiexec has no slot for a further process", mpiexec + ", or give it more slots", nil
	case env.Family == MPICH && opensNoPort(env.Library):
		return "MPICH " + mpichVersion.FindStringSubmatch(env.Library)[1] + ", as it was built here, cannot spawn processes", mpiexec, nil
	}
	return "", "", nil
}

// oversubscribed tells whether mpiexec may put more processes on a host than it has slots. Open MPI 4 hands on what it was told by options
// and variables; what it has read in a file of parameters is read again.
func (e environ) oversubscribed() bool {
	if may(e.text("OMPI_MCA_"+oversubscribe)) || mapsBeyond(e.text("OMPI_MCA_"+mappingPolicy)) {
		return true
	}
	for _, path := range []string{filepath.Join(e.text("HOME"), ".openmpi", "mca-params.conf"), "/etc/openmpi/openmpi-mca-params.conf"} {
		text, _ := os.ReadFile(path) // most have none
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if name == oversubscribe && may(value) || name == mappingPolicy && mapsBeyond(value) {
				return true
			}
		}
	}
	return false
}

// Parameters of Open MPI 4.
const (
	oversubscribe = "rmaps_base_oversubscribe"
	mappingPolicy = "rmaps_base_mapping_policy"
)

// may reads a parameter that is true or false. What is none of the words for false counts as true: then the attempt says more.
func may(value string) bool {
	return value != "" && !slices.Contains([]string{"0", "f", "false", "n", "no", "disabled"}, strings.ToLower(value))
}

// mapsBeyond tells whether a policy such as slot:PE=2,OVERSUBSCRIBE has that modifier, which may be cut short.
func mapsBeyond(policy string) bool {
	words := strings.FieldsFunc(strings.ToUpper(policy), func(r rune) bool { return r == ':' || r == ',' })
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix("OVERSUBSCRIBE", w) })
}

var mpichVersion = regexp.MustCompile(`^MPICH Version: *(([0-9]+)\.\S*)`)

// opensNoPort tells whether this is an MPICH that needs a port for a spawn, as those before 5 do, and cannot open one: over UCX none can. It
// opens one and gives it back.
func opensNoPort(library string) bool {
	m := mpichVersion.FindStringSubmatch(library)
	if m == nil || len(m[2]) > 1 || m[2] >= "5" {
		return false
	}
	port, err := OpenPort()
	if err == nil {
		_ = ClosePort(port)
	}
	return err != nil
}
