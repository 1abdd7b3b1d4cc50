package doctor

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestTheSchedulerIsToldFromTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{nil, "none"},
		{[]string{"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=2", "SLURM_NTASKS=8"}, "Slurm job 7, 2 hosts, 8 tasks"},
		{[]string{"PBS_JOBID=7.head", "PBS_NP=4"}, "PBS job 7.head, 4 tasks"},
		{[]string{"LSB_JOBID=7"}, "LSF job 7"},
		{[]string{"FLUX_JOB_ID=f7", "FLUX_JOB_SIZE=4"}, "Flux job f7, 4 tasks"},
		{[]string{"FLUX_URI=local:///x"}, "a Flux instance"},
		{[]string{"JOB_ID=7", "SGE_ROOT=/x"}, "Grid Engine job 7"},
		{[]string{"JOB_ID=7"}, "none"},
	} {
		if got := scheduler(testkit.Lookup(tt.env...)); !strings.HasPrefix(got.Text, tt.want) {
			t.Errorf("%q: %q, want %q", tt.env, got.Text, tt.want)
		}
	}
}

func TestSIGTERMIsAWarningUnderOpenMPIUnlessItsLimitWasRaised(t *testing.T) {
	const name = "OMPI_MCA_odls_base_sigkill_timeout"
	open4 := func(env ...string) Verdict {
		return sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, 4, testkit.Lookup(env...))).Status
	}
	got := []Verdict{
		open4(), open4(name + "=1"), open4(name + "=60"),
		sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, 5, testkit.Lookup(name+"=60"))).Status, // version 5 does not know it
		sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, 6, testkit.Lookup())).Status,
		sigterm(mpi.MPICH, mpi.EndingBy(mpi.MPICH, 0, testkit.Lookup())).Status,
		sigterm(mpi.OtherMPI, mpi.EndingBy(mpi.OtherMPI, 0, testkit.Lookup())).Status,
	}
	if d := cmp.Diff([]Verdict{warning, warning, fine, warning, warning, fine, fine}, got); d != "" {
		t.Error(d)
	}
}

func TestNothingIsSaidOfSlurmUnderAnotherLauncher(t *testing.T) {
	lookup := testkit.Lookup("PMIX_RANK=0")
	l := mpi.FindLauncher(lookup)
	for _, f := range []Finding{survivorsInJob(l, lookup, "KillOnBadExit = 0"), sigtermInJob(l, lookup)} {
		if !strings.Contains(f.Text, "which is not known") || strings.Contains(f.Text+f.Advice, "srun") || strings.Contains(f.Text, "Slurm") {
			t.Errorf("%+v", f)
		}
	}
	slurm := regexp.MustCompile(`\bsrun\b|Slurm`)
	for name, env := range map[string][]string{
		"Flux":                 {"FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=2", "PMI_RANK=0", "PMI_SIZE=2"},
		"PALS":                 {"PALS_RANKID=0", "PMI_RANK=0", "PMI_SIZE=2"},
		"jsrun":                {"JSM_NAMESPACE_RANK=0", "JSM_NAMESPACE_SIZE=2"},
		"MVAPICH's mpirun_rsh": {"MV2_COMM_WORLD_RANK=0", "MV2_COMM_WORLD_SIZE=2"},
	} {
		lookup := testkit.Lookup(append(env, "SLURM_KILL_BAD_EXIT=0")...)
		l := mpi.FindLauncher(lookup)
		for _, f := range []Finding{survivorsInJob(l, lookup, "KillOnBadExit = 0"), sigtermInJob(l, lookup)} {
			if text := f.Text + f.Advice; !strings.Contains(text, name) || slurm.MatchString(text) || f.Status == warning && f.Advice == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
	srun := testkit.Lookup("SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2")
	if f := sigtermInJob(mpi.FindLauncher(srun), srun); !strings.Contains(f.Text, "KillWait") {
		t.Errorf("%+v", f)
	}
}

func TestOpenMPIsVersionIsReadFromItsLauncher(t *testing.T) {
	for text, want := range map[string]int{
		"mpiexec (OpenRTE) 4.1.4": 4, "mpiexec.openmpi (Open MPI) 5.0.7": 5, "mpiexec (Open MPI) 6.0.0rc2": 6, "prterun (PRRTE) 3.0.7": 5,
	} {
		l := findmpi.Launcher{Family: mpi.OpenMPI, Version: text}
		if got := openMPIMajor(l); got != want || isPRRTE(l) != (want >= 5) {
			t.Errorf("%s: %d, of PRRTE %v", text, got, isPRRTE(l))
		}
	}
}

// Version 6 sends no signal, so it is not said when one comes.
func TestAnMpiexecThatKillsAtOnceIsSaidToBeOne(t *testing.T) {
	f := sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, 6, testkit.Lookup()))
	if !strings.Contains(f.Text, "kills at once") || strings.Contains(f.Text, "0s") || !strings.Contains(f.Advice, "SIGUSR1") {
		t.Errorf("%+v", f)
	}
}

func TestWhatHasNotEndedIsAFindingAndNothingIsAddedLater(t *testing.T) {
	var f findings
	done := f.during("this")
	f.during("that")
	done()
	f.add(Finding{"a", fine, "b", "", nil})
	all := f.close()
	f.add(Finding{"late", fine, "", "", nil})
	if len(all) != 2 || all[1].Status != Broken || !strings.Contains(all[1].Text, "that did not end") || len(f.all) != 2 {
		t.Errorf("findings: %+v", f.all)
	}
	for _, tt := range []struct {
		all  []Finding
		want Verdict
	}{{nil, fine}, {[]Finding{{Status: fine}, {Status: warning}}, warning}, {[]Finding{{Status: Broken}, {Status: warning}, {Status: fine}}, Broken}} {
		if got := worst(tt.all); got != tt.want {
			t.Errorf("%v: worst is %s", tt.all, got)
		}
	}
}

func TestEveryFindingThatIsNotOKHasARemedy(t *testing.T) {
	facts := []fact{
		{Kind: aboutStart, Library: "x", World: 1, Promised: 4, Error: "wrong"}, {Kind: aboutStart, Error: "no"}, {},
	}
	for _, f := range facts {
		d := &doctor{findings: new(findings)}
		d.judge([]fact{f}, "out", errors.New("ended"))
		d.judge(nil, "out", errors.New("ended"))
		all := append(d.findings.close(), speed(fact{RoundTrip: time.Second}), spawnFinding(nil, "", nil),
			binding([]rankFact{{Binding: mpi.Binding{Allowed: 1, Online: 2, Procs: 1}}}, mpi.OpenMPI),
			connectingInJob(mpi.MPICH, testkit.Lookup()), connectingInJob(mpi.OpenMPI, testkit.Lookup()), survivorsInJob(mpi.Launcher{Family: mpi.MPICH}, testkit.Lookup(), ""),
			survivorsInJob(mpi.Launcher{Family: mpi.OpenMPI}, testkit.Lookup(), ""), survivorsInJob(mpi.Launcher{}, testkit.Lookup(), ""),
			survivorsInJob(mpi.Launcher{}, testkit.Lookup(), "KillOnBadExit = 1"), connectingInJob(mpi.OpenMPI, testkit.Lookup("OMPI_MCA_orte_num_nodes=2")))
		for _, f := range all {
			if f.Status != fine && f.Advice == "" {
				t.Errorf("no advice: %+v", f)
			}
		}
	}
}

func TestSlurmTellsWhetherSrunLeavesSurvivorsAlone(t *testing.T) {
	const zero, one = "InactiveLimit           = 0 sec\nKillOnBadExit           = 0\nKillWait = 5 sec\n", "KillOnBadExit = 1\n"
	for _, tt := range []struct {
		env, slurm string
		status     Verdict
		want       string
	}{
		{"", zero, fine, "the others live on when one is killed: KillOnBadExit is 0"},
		{"", one, warning, "KillOnBadExit is 1"},
		{"SLURM_KILL_BAD_EXIT=1", zero, warning, "SLURM_KILL_BAD_EXIT is 1"},
		{"SLURM_KILL_BAD_EXIT=0", one, fine, "SLURM_KILL_BAD_EXIT is 0"},
		{"", "", warning, "cannot be told"},
	} {
		f := survivorsInJob(mpi.Launcher{Name: "srun"}, testkit.Lookup(strings.Fields(tt.env)...), tt.slurm)
		if f.Status != tt.status || !strings.Contains(f.Text, tt.want) {
			t.Errorf("%q, %q: %+v, want %q", tt.env, tt.slurm, f, tt.want)
		}
	}
}
