package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// roll is the ranks of one job that its launcher has on this host, as the system tells.
type roll struct {
	world, local int   // how many ranks the launcher promised: in all, here
	here         []int // the numbers of those that run, in order
}

// launcherNames are the programs that start ranks, one per host.
var launcherNames = []string{"hydra_pmi_proxy", "mpiexec", "mpirun", "orterun", "orted", "prterun", "prted"}

// callRoll looks for the ranks of self's job below the launcher that started them. It does not know where there is no
// Linux /proc, where the launcher or a process of it cannot be seen (from a container of its own, say), or where the launcher
// does not say how many it starts.
func callRoll(proc fs.FS, self int) (r roll, known bool) {
	own, _ := environOf(proc, self)
	rank, size, local := "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"
	if own[rank] == "" {
		rank, size, local = "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"
	}
	me, err := strconv.Atoi(own[rank])
	var also, too error
	r.world, also = strconv.Atoi(own[size])
	r.local, too = strconv.Atoi(own[local])
	parents := parentsIn(proc)
	launcher := launcherOf(proc, parents, self)
	if err != nil || also != nil || too != nil || launcher == 0 {
		return roll{}, false
	}
	for pid := range parents {
		env, err := environOf(proc, pid)
		if errors.Is(err, fs.ErrPermission) && launcherOf(proc, parents, pid) == launcher {
			return roll{}, false
		}
		n, err := strconv.Atoi(env[rank])
		same := err == nil && env[size] == own[size] && env["PMIX_NAMESPACE"] == own["PMIX_NAMESPACE"]
		if same && !slices.Contains(r.here, n) && launcherOf(proc, parents, pid) == launcher {
			r.here = append(r.here, n)
		}
	}
	slices.Sort(r.here)
	return r, slices.Contains(r.here, me)
}

// missing says which ranks of this host are not there, or nothing.
func (r roll) missing() string {
	n := r.local - len(r.here)
	switch {
	case n <= 0:
		return ""
	case r.local < r.world: // which numbers this host has is not known
		return fmt.Sprintf("%d of the %d ranks on this host (the others are %s)", n, r.local, numbers(r.here))
	}
	var gone []int
	for i := range r.world {
		if !slices.Contains(r.here, i) {
			gone = append(gone, i)
		}
	}
	if len(gone) == 1 {
		return fmt.Sprintf("rank %d of %d", gone[0], r.world)
	}
	return fmt.Sprintf("ranks %s of %d", numbers(gone), r.world)
}

func numbers(all []int) string { return strings.Trim(fmt.Sprint(all), "[]") }

// environOf returns the environment that a process was started with; nothing when it has ended.
func environOf(proc fs.FS, pid int) (env map[string]string, err error) {
	b, err := fs.ReadFile(proc, path.Join(strconv.Itoa(pid), "environ"))
	env = map[string]string{}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if name, value, ok := strings.Cut(string(v), "="); ok {
			env[name] = value
		}
	}
	return env, err
}

// parentsIn returns the parent of every process.
func parentsIn(proc fs.FS) map[int]int {
	parents := map[int]int{}
	entries, _ := fs.ReadDir(proc, ".")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := fs.ReadFile(proc, path.Join(e.Name(), "stat"))
		// The name may hold anything, so fields are counted from its end: state, parent.
		if f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(f) > 1 {
			parents[pid], _ = strconv.Atoi(string(f[1]))
		}
	}
	return parents
}

// launcherOf returns the nearest launcher above a process, or 0.
func launcherOf(proc fs.FS, parents map[int]int, pid int) int {
	for range len(parents) { // no more, whatever changes meanwhile
		if pid = parents[pid]; pid <= 0 {
			return 0
		}
		name, _ := fs.ReadFile(proc, path.Join(strconv.Itoa(pid), "comm"))
		base, _, _ := strings.Cut(strings.TrimSpace(string(name)), ".") // mpiexec.mpich
		if slices.Contains(launcherNames, base) {
			return pid
		}
	}
	return 0
}
