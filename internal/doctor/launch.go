package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
)

// launch starts the probe on ranks and returns its facts. enough, which may be nil, tells when no more are needed. The error
// is that the job has failed, or that it was killed at the limit; there may be facts all the same.
func launch(ctx context.Context, l findmpi.Launcher, limit time.Duration, ranks int, options []string, probe string, enough func([]fact) bool) ([]fact, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return startProbe(ctx, l, limit, ranks, options, []string{self}, probe, enough)
}

// launchStaying is launch with a process beside each rank.
func launchStaying(ctx context.Context, l findmpi.Launcher, limit time.Duration, ranks int, options []string, probe string, enough func([]fact) bool) ([]fact, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return startProbe(ctx, l, limit, ranks, options, []string{self, "run", "--stay", self}, probe, enough)
}

func startProbe(ctx context.Context, l findmpi.Launcher, limit time.Duration, ranks int, options, command []string, probe string, enough func([]fact) bool) ([]fact, string, error) {
	args := append(slices.Clone(options), "-n", fmt.Sprint(ranks))
	args = append(append(args, command...), "doctor-probe", "--limit", limit.String(), probe)
	return probed(ctx, limit, l.Path, args, enough)
}

// probed runs a command that prints facts. enough is called on the goroutine that reads them, so it waits for nothing.
func probed(ctx context.Context, limit time.Duration, name string, args []string, enough func([]fact) bool) ([]fact, string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var facts []fact // the reader's until Run returns
	satisfied := false
	out, err := marked.Run(ctx, findmpi.AsRoot(nil), name, args, func(line string) (keep bool) {
		_, text, ok := strings.Cut(line, factMark)
		var f fact
		if !ok || json.Unmarshal([]byte(text), &f) != nil {
			return !ok
		}
		if facts = append(facts, f); enough != nil && enough(facts) {
			satisfied = true
			cancel()
		}
		return false
	})
	switch {
	case satisfied:
		err = nil
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not end within %v and was killed", limit)
	}
	return facts, out, err
}

// inJob examines the job that this process is a rank of. The probe is a child, so that a crash of the MPI library is a
// finding and not the end.
func (d *doctor) inJob(ctx context.Context) {
	if command.Speaks(d.Launcher) {
		defer d.findings.during("the probe in this job")()
	}
	self, err := os.Executable()
	if err != nil {
		d.findings.add(Finding{"library", Broken, err.Error(), "", nil})
		return
	}
	limit := d.limit(jobLimit)
	facts, out, err := probed(ctx, limit, self, []string{"doctor-probe", "--limit", limit.String(), "all"}, nil)
	if !command.Speaks(d.Launcher) {
		if ended := (*exec.ExitError)(nil); errors.As(err, &ended) { // by itself: rank 0 tells of what was killed at the limit
			host, _ := os.Hostname()
			d.findings.add(Finding{"probe", Broken, fmt.Sprintf("rank %d on %s: its part of the probe failed: %v; it printed:\n%s", d.Launcher.Rank, host, err, out),
				"find out what stops this rank: the others wait for it until the limit", nil})
		}
		return
	}
	d.findings.add(Finding{"launcher", fine, d.Launcher.String() + by(d.Launcher), "", nil})
	if !d.judge(facts, out, err) {
		return
	}
	d.findings.add(spawnFinding(facts, out, err), connectingInJob(d.family, os.LookupEnv))
	slurm := ""
	if d.Launcher.Srun() {
		slurm = slurmSettings(ctx)
	}
	d.findings.add(survivorsInJob(d.Launcher, os.LookupEnv, slurm), sigtermInJob(d.Launcher, os.LookupEnv))
}

// by says which variable has told of a launcher, unless its name does.
func by(l mpi.Launcher) string {
	if l.Strange() {
		return ""
	}
	return " (" + l.Variable + ")"
}

// lostRanks is the subject of what becomes of the others when a rank is lost.
const lostRanks = "lost ranks"

// survivorsInJob says what the launcher of this job was told about lost ranks. slurm are the settings of Slurm, where they are known.
func survivorsInJob(l mpi.Launcher, lookup func(string) (string, bool), slurm string) Finding {
	if elsewhere(l) {
		return survivorsElsewhere(l)
	}
	switch l.Family {
	case mpi.OpenMPI:
		if mpi.LaunchedByPRRTE(lookup) {
			if v, _ := lookup("OMPI_MCA_mpi_ft_enable"); v == "1" || v == "true" {
				return Finding{lostRanks, fine, "the others live on: --with-ft ulfm. Where workers are spawned, only if mpiexec has " + mpi.Recoverable + " in its environment", "", nil}
			}
			return Finding{lostRanks, warning, "whether the launcher leaves the others alone cannot be told from inside a job",
				"start with `mpiexec --with-ft ulfm`; where workers are spawned, with " + mpi.Recoverable + " in its environment", nil}
		}
		if v, _ := lookup("OMPI_MCA_orte_enable_recovery"); v == "1" || v == "true" {
			return Finding{lostRanks, fine, "the others live on: --enable-recovery", "", nil}
		}
		return Finding{lostRanks, warning, "the launcher ends the job when a rank is lost", "start with `mpiexec --enable-recovery`", nil}
	case mpi.MPICH:
		return Finding{lostRanks, warning, "whether the launcher leaves the others alone cannot be told from inside a job",
			"start with `mpiexec -disable-auto-cleanup -n N rankpool run --stay PROGRAM`, and try it with `rankpool doctor` without mpiexec", nil}
	}
	// What srun itself was told cannot be seen; its variable is, and it goes before the setting.
	variable, setting := "SLURM_KILL_BAD_EXIT", "KillOnBadExit"
	kills, known := lookup(variable)
	if known {
		setting = variable
	} else if m := regexp.MustCompile(`(?m)^KillOnBadExit\s*=\s*(\d)`).FindStringSubmatch(slurm); m != nil {
		kills, known = m[1], true
	}
	const advice = "start with `srun --kill-on-bad-exit=0`, and with --no-kill too if the loss of a host is to be survived"
	switch {
	case !known:
		return Finding{lostRanks, warning, "whether srun leaves the others alone cannot be told here", advice, nil}
	case kills != "0":
		return Finding{lostRanks, warning, fmt.Sprintf("srun ends the job when a rank is lost, unless it was told otherwise: %s is %s", setting, kills), advice, nil}
	}
	return Finding{lostRanks, fine, fmt.Sprintf("the others live on when one is killed: %s is 0, unless srun was told otherwise; the loss of a host ends "+
		"the job, unless srun was told --no-kill", setting), "", nil}
}

// slurmSettings returns what Slurm says about itself, nothing where it does not answer.
func slurmSettings(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	out, err := marked.Run(ctx, nil, "scontrol", []string{"show", "config"}, nil)
	if err != nil {
		return ""
	}
	return out
}

// fromOutside starts jobs of its own.
func (d *doctor) fromOutside(ctx context.Context) {
	l, err := findmpi.FindLauncher(ctx, d.mpiexec)
	if err != nil {
		d.findings.add(Finding{"launcher", Broken, "there is no mpiexec to start ranks with: " + err.Error(),
			"load the module of your MPI, install it, or name its mpiexec with --mpiexec; under Slurm: srun -n 2 rankpool doctor", nil})
		return
	}
	found := Finding{"launcher", fine, fmt.Sprintf("%s: %s, of %s", l.Path, l.Version, l.Family), "", nil}
	if l.Family == mpi.OpenMPI && os.Geteuid() == 0 && !isSet(os.LookupEnv, "OMPI_ALLOW_RUN_AS_ROOT") {
		found.Status, found.Text = warning, found.Text+"; it refuses to run as root"
		found.Advice = "be another user, or set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; a program that spawns " +
			"without an mpiexec wants PRTE_ALLOW_RUN_AS_ROOT=1 and PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 since Open MPI 5"
	}
	d.findings.add(found)
	if !mpi.Built {
		return
	}
	if !d.pair(ctx, l) {
		return
	}
	d.spawning(ctx, l)
	d.connecting(ctx, l)
	d.losing(ctx, l)
	if l.Family != mpi.OtherMPI { // which is srun's, inside a job
		d.findings.add(sigterm(l.Family, mpi.EndingBy(l.Family, openMPIMajor(l), os.LookupEnv)))
	}
}

// isPRRTE tells Open MPI's launcher since version 5 from the one before.
func isPRRTE(l findmpi.Launcher) bool { return l.Family == mpi.OpenMPI && openMPIMajor(l) >= 5 }

var openMPIVersion = regexp.MustCompile(`\((?:Open MPI|OpenRTE)\) (\d+)\.`)

// openMPIMajor is the major version of Open MPI whose launcher this is. One that names only PRRTE counts as the first that has it.
func openMPIMajor(l findmpi.Launcher) int {
	m := openMPIVersion.FindStringSubmatch(l.Version)
	if m == nil {
		return 5
	}
	major, _ := strconv.Atoi(m[1])
	return major
}

// Limits of the single jobs, and of the look at the one that this process is a rank of.
const (
	jobLimit   = 50 * time.Second
	pairLimit  = 18 * time.Second
	spawnLimit = 10 * time.Second
	loseLimit  = 10 * time.Second
)

// pair starts two ranks, and tells whether it makes sense to go on.
func (d *doctor) pair(ctx context.Context, l findmpi.Launcher) bool {
	defer d.findings.during("a job of two ranks")()
	facts, out, err := launch(ctx, l, d.limit(pairLimit), 2, nil, "look", nil)
	if len(facts) == 0 && strings.Contains(out, "slots") && l.Family == mpi.OpenMPI {
		d.findings.add(Finding{"slots", warning, "mpiexec has no room for two ranks", "start with `mpiexec --oversubscribe`, or with a hostfile that has slots=N", nil})
		facts, out, err = launch(ctx, l, d.limit(pairLimit), 2, []string{"--oversubscribe"}, "look", nil)
	}
	return d.judge(facts, out, err)
}

// spawning spawns one process from a job of one rank.
func (d *doctor) spawning(ctx context.Context, l findmpi.Launcher) {
	defer d.findings.during("spawning a process")()
	facts, out, err := launch(ctx, l, d.limit(spawnLimit), 1, nil, "spawn", func(all []fact) bool { return all[len(all)-1].Kind == aboutSpawn })
	d.findings.add(spawnFinding(facts, out, err))
}

// spawnFinding judges how a spawn went.
func spawnFinding(facts []fact, out string, err error) Finding {
	f := Finding{"spawning", warning, "", "start programs with `mpiexec -n N` (one is the master, the others work): that needs no spawning", nil}
	for _, k := range facts {
		switch {
		case k.Kind == aboutSpawn && k.Error == "":
			f.Status, f.Text, f.Advice = fine, "works", ""
		case k.Kind == aboutSpawn:
			f.Text = "does not work: " + strings.TrimPrefix(k.Error, "mpi: ")
		}
	}
	if f.Text == "" {
		f.Text = "does not work: " + marked.LastWords(out, err)
	}
	if f.Status != fine && (strings.Contains(out, "Unable to find reachable pairing") || strings.Contains(f.Text, "unreachable")) {
		f.Advice = "set OMPI_MCA_btl_tcp_disable_family=6: Open MPI 5.0 finds no way to a spawned process on a host that has IPv4 and IPv6; or " + f.Advice
	}
	return f
}

// losing kills one rank of three and sees whether the launcher, told to do so, leaves the others alone.
func (d *doctor) losing(ctx context.Context, l findmpi.Launcher) {
	defer d.findings.during("losing a rank")()
	var options []string
	switch l.Family {
	case mpi.OpenMPI:
		options = []string{"--enable-recovery", "--oversubscribe"}
	case mpi.MPICH:
		options = []string{"-disable-auto-cleanup"}
	default:
		d.findings.add(Finding{lostRanks, warning, "not tried: it is unknown how to tell this launcher to leave survivors alone", "see its manual", nil})
		return
	}
	live := func(all []fact) bool { return survivors(all) == 2 }
	facts, out, err := launch(ctx, l, d.limit(loseLimit), 3, options, "lose", live)
	if survivors(facts) == 2 {
		d.findings.add(Finding{lostRanks, fine, fmt.Sprintf("the others live on when one is killed, if started with `mpiexec %s`", options[0]), "", nil})
		return
	}
	f := Finding{lostRanks, warning, fmt.Sprintf("with `mpiexec %s` %d of 2 ranks lived on when a third was killed: %s", options[0], survivors(facts), marked.LastWords(out, err)),
		"a lost rank ends the whole job here: keep jobs short, or write results as they come", nil}
	if l.Family == mpi.MPICH {
		// Its launcher takes the end of a rank by a signal for the end of all that are on the same host.
		if facts, _, _ = launchStaying(ctx, l, d.limit(loseLimit), 3, options, "lose", live); survivors(facts) == 2 {
			f.Text = fmt.Sprintf("with `mpiexec %s` a rank that is killed takes the others of its host along", options[0])
			f.Advice = fmt.Sprintf("start programs with `mpiexec %s -n N rankpool run --stay PROGRAM`: then they live on", options[0])
		}
	}
	d.findings.add(f)
}

func survivors(all []fact) (n int) {
	for _, f := range all {
		if f.Kind == aboutLife {
			n++
		}
	}
	return n
}
