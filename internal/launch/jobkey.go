package launch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/mpi"
)

// jobKey is what all ranks of this job have in common and no other job has, as the name of a folder. Where a launcher
// repeats itself, as after a port was used again, the meeting tells old from new.
func jobKey(l mpi.Launcher, lookup func(string) (string, bool), given string) (string, error) {
	facts := []string{fmt.Sprint(l.Size), l.Variable}
	found := len(facts)
	add := func(names ...string) {
		for _, name := range names {
			if v, ok := lookup(name); ok && v != "" {
				facts = append(facts, name+"="+v)
			}
		}
	}
	switch {
	case given != "":
		add()
		facts = append(facts, "given="+given)
	case l.Family == mpi.OpenMPI:
		add("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_precondition_transports")
	case l.Srun():
		add("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
	default:
		// Hydra tells its ranks nothing that they share: the address that all its proxies call is in their command lines.
		add("FLUX_JOB_ID", "PALS_APID")
		if len(facts) == found {
			facts = append(facts, controlPort(os.Getppid())...)
		}
		if len(facts) > found {
			add("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
		}
	}
	if len(facts) == found {
		return "", errors.New("cannot tell this job from others, as its launcher (" + l.Name + ") gives it no name that all " +
			"ranks know: give it one with --job, different for each job, or build the program first (rankpool build) and run that")
	}
	h := sha256.New()
	for _, f := range facts {
		fmt.Fprintf(h, "%q\n", f)
	}
	return "job-" + hex.EncodeToString(h.Sum(nil)[:12]), nil
}

// controlPort finds the proxy of MPICH's launcher among the ancestors of a process, and the address it was given.
func controlPort(pid int) []string {
	for range 32 {
		if pid <= 1 {
			break
		}
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			break
		}
		words := strings.Split(string(line), "\x00")
		if i := slices.Index(words, "--control-port"); i >= 0 && i+1 < len(words) {
			return []string{words[i], words[i+1]}
		}
		pid = parentOf(pid)
	}
	return nil
}

// parentOf returns the parent of a process, or 0.
func parentOf(pid int) int {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// The command, in parentheses, may contain anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}
