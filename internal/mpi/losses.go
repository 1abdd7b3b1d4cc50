package mpi

import (
	"os"
	"regexp"
	"strconv"
)

// mitigation is the variable that switches Open MPI's failure mitigation (ULFM) on, or off, as version 6 has it on by itself. Init sets it for the library alone, not for this
// program and what it starts, and not where the user has.
const mitigation = "OMPI_MCA_mpi_ft_enable"

var openMPIVersion = regexp.MustCompile(`Open MPI v?(\d+)\.`)

// mitigates tells whether a library that has failure mitigation is to use it. Slurm's own plugin for PMIx cancels the step of a rank
// that does, and Open MPI 6.0.0rc2 cannot spawn with it, which a rank that is alone in its world may want.
func mitigates(library string, lookup func(string) (string, bool)) bool {
	e := environ(lookup)
	if v := e.text(mitigation); v != "" {
		on, err := strconv.ParseBool(v)
		return err == nil && on
	}
	if e.text("PMIX_NAMESPACE") != "" && e.text("PRTE_LAUNCHED") == "" {
		return false
	}
	m := openMPIVersion.FindStringSubmatch(library)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	ranks, _ := e.number("OMPI_COMM_WORLD_SIZE")
	return major < 6 || ranks > 1
}

// TellsLosses tells whether the library has failure mitigation and it is switched on: then a call that waits for a lost rank fails,
// and communicators can be revoked. Open MPI has it since version 5; see docs/mpi-notes.md. Before Init it is false.
func TellsLosses() bool {
	return runtimeState.state.Load() == running && rawMitigates() && mitigates(rawLibrary(), os.LookupEnv)
}
