package mpi

import (
	"os"
	"regexp"
	"strconv"
	"strings"
)

// mitigation is the variable that switches Open MPI's failure mitigation (ULFM) on, or off, as version 6 has it on by itself. Init sets it for the library alone, not for this
// program and what it starts, and not where the user has.
const mitigation = "OMPI_MCA_mpi_ft_enable"

// prteSpace begins the namespaces of PRRTE, those of mpiexec (prterun-HOST-PID@JOB) and those of daemons that last.
const prteSpace = "prte"

var openMPIVersion = regexp.MustCompile(`Open MPI v?(\d+)\.`)

// mitigates tells whether a library that has failure mitigation is to use it. Slurm's own plugin for PMIx cancels the step of a rank
// that does, so a launcher other than Open MPI's is not trusted with it; PRRTE's variables alone do not show that one: a shell that it has
// started leaves them to another launcher. Open MPI 6.0.0rc2 cannot spawn with it, which a rank that is alone in its world may want.
func mitigates(library string, lookup func(string) (string, bool)) bool {
	e := environ(lookup)
	if v := e.text(mitigation); v != "" {
		on, err := strconv.ParseBool(v)
		return err == nil && on
	}
	if space := e.text("PMIX_NAMESPACE"); space != "" && (e.text("PRTE_LAUNCHED") == "" || !strings.HasPrefix(space, prteSpace)) {
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
