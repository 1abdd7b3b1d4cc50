package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/mpi"
)

// command looks at this command itself: whether it has MPI.
func (d *doctor) command() {
	f := Finding{"command", fine, "rankpool " + command.Version(), "", nil}
	if !mpi.Built {
		at := "latest"
		if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") && info.Main.Sum != "" {
			at = info.Main.Version
		}
		f.Status, f.Text = Broken, f.Text+": it can examine no MPI"
		f.Advice = "build it with MPI, for Linux on amd64 or arm64: go install -tags mpi " + gobuild.Module + "/cmd/rankpool@" + at + "; in a clone: go build -tags mpi -o rankpool ./cmd/rankpool"
	}
	d.findings.add(f)
}

// resolveLimit is what a host's own name may take to look up.
const resolveLimit = 5 * time.Second

// resolution looks up the name of this host, as the launchers of jobs on several hosts do.
func resolution(ctx context.Context) Finding {
	const subject = "host name"
	host, err := os.Hostname()
	if err != nil {
		return Finding{subject, Broken, "this host does not know its name: " + err.Error(), "set one with hostname", nil}
	}
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	begin := time.Now()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	took := time.Since(begin)
	values := map[string]float64{"seconds": took.Seconds()}
	switch {
	case err != nil:
		return Finding{subject, warning, fmt.Sprintf("%s does not resolve: %v", host, err),
			"jobs on several hosts need names that every host resolves: add it to /etc/hosts or to the name service", values}
	case took > time.Second:
		return Finding{subject, warning, fmt.Sprintf("%s resolves to %s, but that takes %.1f s", host, strings.Join(addresses, ", "), took.Seconds()),
			"the first name server in /etc/resolv.conf does not answer: repair or remove it", values}
	}
	for _, a := range addresses {
		if ip := net.ParseIP(a); ip != nil && !ip.IsLoopback() {
			return Finding{subject, fine, fmt.Sprintf("%s is %s", host, strings.Join(addresses, ", ")), "", values}
		}
	}
	return Finding{subject, warning, fmt.Sprintf("%s resolves only to %s, which no other host can reach", host, strings.Join(addresses, ", ")),
		"for jobs on several hosts give the name this host's address in /etc/hosts; on one host it does no harm", values}
}

// scheduler says what this process runs under, from the environment.
func scheduler(lookup func(string) (string, bool)) Finding {
	for _, s := range []struct{ variable, name, nodes, tasks string }{
		{"SLURM_JOB_ID", "Slurm", "SLURM_JOB_NUM_NODES", "SLURM_NTASKS"},
		{"FLUX_JOB_ID", "Flux", "FLUX_JOB_NNODES", "FLUX_JOB_SIZE"},
		{"FLUX_URI", "Flux", "FLUX_JOB_NNODES", "FLUX_JOB_SIZE"},
		{"PBS_JOBID", "PBS", "PBS_NUM_NODES", "PBS_NP"},
		{"LSB_JOBID", "LSF", "", "LSB_DJOB_NUMPROC"},
		{"COBALT_JOBID", "Cobalt", "COBALT_JOBSIZE", ""},
		{"JOB_ID", "Grid Engine", "NHOSTS", "NSLOTS"},
	} {
		id, ok := lookup(s.variable)
		if !ok || id == "" || s.name == "Grid Engine" && !isSet(lookup, "SGE_ROOT") {
			continue
		}
		text := fmt.Sprintf("%s job %s", s.name, id)
		if s.variable == "FLUX_URI" {
			text = "a Flux instance"
		}
		for _, v := range []struct{ name, what string }{{s.nodes, "hosts"}, {s.tasks, "tasks"}} {
			if n, ok := lookup(v.name); ok && v.name != "" {
				text += fmt.Sprintf(", %s %s", n, v.what)
			}
		}
		return Finding{"scheduler", fine, text, "", nil}
	}
	return Finding{"scheduler", fine, "none (no variables of Slurm, PBS, LSF, Flux, Cobalt or Grid Engine)", "", nil}
}

func isSet(lookup func(string) (string, bool), name string) bool {
	v, ok := lookup(name)
	return ok && v != ""
}

// building says whether `rankpool run` and `rankpool build` find what they need: Go, and for programs that import mpicomm an MPI to link with.
func (d *doctor) building(ctx context.Context) Finding {
	defer d.findings.during("asking the compiler wrapper")()
	const subject = "building"
	if _, err := exec.LookPath("go"); err != nil {
		return Finding{subject, warning, "there is no go command on the path", "install Go, or build elsewhere: built programs need none", nil}
	}
	s, err := findmpi.FindSettings(ctx, d.family, findmpi.Automatic)
	if err != nil {
		return Finding{subject, fine, "programs can be built, but for those that import mpicomm: " + err.Error(), "", nil}
	}
	return Finding{subject, fine, fmt.Sprintf("those that import mpicomm are linked with %s, flags from %s", s.Family, s.Source), "", nil}
}

// sigterm says how long programs have after SIGTERM before the launcher kills them. The family is OtherMPI for srun.
func sigterm(family mpi.Family, e mpi.Ending) Finding {
	const subject = "SIGTERM"
	const warn = "have programs end at SIGUSR1 (futures.DrainOn) and send that to mpiexec, which passes it on at once and does not kill"
	values := map[string]float64{"seconds": e.Kills.Seconds()}
	switch family {
	case mpi.OpenMPI:
		if e.AtOnce {
			return Finding{subject, warning, "Open MPI's mpiexec, told to end by SIGTERM or Ctrl-C, kills at once and sends no signal before: tasks have no time to end", warn, values}
		}
		f := Finding{subject, fine, fmt.Sprintf("Open MPI's mpiexec, told to end by SIGTERM or Ctrl-C, sends SIGTERM after %v and kills %v later", e.After, e.Kills), "", values}
		if e.Kills < leastToEnd {
			f.Status, f.Text = warning, f.Text+": tasks have little time to end"
			f.Advice = warn
		}
		return f
	case mpi.MPICH:
		return Finding{subject, fine, "MPICH's mpiexec passes SIGTERM and Ctrl-C on and waits for the program; at the second one it kills at once", "", nil}
	}
	return Finding{subject, fine, "Slurm kills a while after its SIGTERM, 30s unless KillWait is set otherwise; srun itself kills at once when it gets one: use scancel", "", values}
}

// sigtermInJob is sigterm for the launcher of this job.
func sigtermInJob(l mpi.Launcher, lookup func(string) (string, bool)) Finding {
	if elsewhere(l) {
		return sigtermElsewhere(l)
	}
	return sigterm(l.Family, mpi.FindEnding(lookup))
}

// leastToEnd is what a program should have between the signal and the kill: less than the default of WithDrainGrace leaves little.
const leastToEnd = 5 * time.Second
