package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "reach" { // this program is the command
		os.Exit(start(os.Args[1:], surroundings{out: os.Stdout, err: os.Stderr}))
	}
	testkit.Main(m)
}

// Whatever follows the program's name is the program's.
func TestTheParserNeverSeesTheProgramsOptions(t *testing.T) {
	app := kong.Must(&commands{}, kong.Bind(surroundings{}))
	for line, want := range map[string]string{
		"run x.go -v --help":             "run -- x.go -v --help",
		"run --mpi none x.go -c y":       "run --mpi=none -- x.go -c y",
		"run --mpi=none --tags a - -x":   "run --mpi=none --tags=a -- - -x",
		"run -c text -v":                 "run --statements=text -- -v",
		"run -c -1 -v":                   "run --statements=-1 -- -v",
		"run -ctext -v":                  "run --statements=text -- -v",
		"run --statements=a=b -v":        "run --statements=a=b -- -v",
		"exec -m a/b -- -c":              "exec --package=a/b -- -- -c",
		"run -- x.go -- -v":              "run -- x.go -- -v",
		"run --bogus x.go":               "run --bogus -- x.go",
		"run --help":                     "run --help",
		"build -o x --mpi mpich ./... -": "build -o x --mpi mpich ./... -",
		"":                               "",
	} {
		got, err := protect(app.Model.Node, strings.Fields(line))
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %s, %v, want %s", line, got, err, want)
		}
	}
	for _, line := range []string{"run -c", "run -m", "exec --mpi"} {
		if _, err := protect(app.Model.Node, strings.Fields(line)); !errors.As(err, new(*usageError)) {
			t.Errorf("%s: %v, want a usage error", line, err)
		}
	}
}

// started runs the command line in this process, as a rank of a job.
func started(rank int, args ...string) (status int, out, complaint string) {
	var o, e bytes.Buffer
	l := mpi.Launcher{Rank: -1}
	if rank >= 0 {
		l = mpi.Launcher{Name: "mpiexec", Size: 4, Rank: rank}
	}
	status = start(args, surroundings{launcher: l, out: &o, err: &e})
	return status, o.String(), e.String()
}

// In a job one rank tells, and the others do not end the job before it has.
func TestAMistakeIsToldByOneRank(t *testing.T) {
	for _, args := range [][]string{{"run"}, {"run", "-c"}, {"run", "--bogus"}, {"bogus"}, {}} {
		if status, out, complaint := started(0, args...); status != 1 || out != "" || !strings.Contains(complaint, "Usage: rankpool") {
			t.Errorf("rank 0, %q: status %d, output %q, complaint %q", args, status, out, complaint)
		}
		if status, out, complaint := started(1, args...); status != 0 || out+complaint != "" {
			t.Errorf("rank 1, %q: status %d, says %q", args, status, out+complaint)
		}
	}
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"exec", "-h"}, {"build", "--help"}, {"doctor", "--help"}, {"--version"}} {
		if status, out, complaint := started(0, args...); status != 0 || out == "" || complaint != "" {
			t.Errorf("rank 0, %q: status %d, output %q, complaint %q", args, status, out, complaint)
		}
		if status, out, complaint := started(1, args...); status != 0 || out+complaint != "" {
			t.Errorf("rank 1, %q: status %d, says %q", args, status, out+complaint)
		}
	}
}

func TestEverySubcommandHasExamples(t *testing.T) {
	for _, name := range []string{"run", "exec", "build", "doctor"} {
		_, out, _ := started(-1, name, "--help")
		if !strings.Contains(out, "Examples:") || !strings.Contains(out, "Status:") || strings.Contains(out, "tidy") {
			t.Errorf("%s --help:\n%s", name, out)
		}
	}
}

func lookup(env ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, e := range env {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

func TestTheRanksOfAJobAgreeOnItsNameAndOtherJobsHaveAnother(t *testing.T) {
	open := mpi.Launcher{Name: "Open MPI's mpiexec", Family: mpi.OpenMPI, Size: 4}
	srun := mpi.Launcher{Name: "srun --mpi=pmix", Size: 4}
	flux := mpi.Launcher{Name: "MPICH's mpiexec", Family: mpi.MPICH, Size: 4}
	key := func(l mpi.Launcher, given string, env ...string) string {
		k, err := jobKey(l, lookup(env...), given)
		if err != nil {
			t.Errorf("%s %q: %v", l.Name, env, err)
		}
		return k
	}
	if a, b := key(open, "", "PMIX_NAMESPACE=1", "PMIX_RANK=0"), key(open, "", "PMIX_NAMESPACE=1", "PMIX_RANK=3"); a != b {
		t.Errorf("two ranks of one job: %s, %s", a, b)
	}
	all := []string{
		key(open, "", "PMIX_NAMESPACE=1"), key(open, "", "PMIX_NAMESPACE=2"), key(open, "x", "PMIX_NAMESPACE=2"),
		key(open, "", "PMIX_NAMESPACE=1", "OMPI_MCA_orte_precondition_transports=ab-cd"),
		key(srun, "", "SLURM_JOB_ID=7", "SLURM_STEP_ID=0"), key(srun, "", "SLURM_JOB_ID=7", "SLURM_STEP_ID=1"),
		key(flux, "", "FLUX_JOB_ID=f1"), key(flux, "", "FLUX_JOB_ID=f1", "SLURM_JOB_ID=7"),
	}
	seen := map[string]int{}
	for i, k := range all {
		if other, twice := seen[k]; twice {
			t.Errorf("jobs %d and %d have one name", other, i)
		}
		seen[k] = i
	}
	if _, err := jobKey(flux, lookup(), ""); err == nil || !strings.Contains(err.Error(), "--job") {
		t.Errorf("a job without a name: %v", err)
	}
}

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
		if got := scheduler(lookup(tt.env...)); !strings.HasPrefix(got.Text, tt.want) {
			t.Errorf("%q: %q, want %q", tt.env, got.Text, tt.want)
		}
	}
}

func TestTheFamilyOfALibraryIsToldFromItsName(t *testing.T) {
	for path, want := range map[string]mpi.Family{
		"/lib/libmpi.so.40.30.4": mpi.OpenMPI, "/lib/libmpich.so.12.2.2": mpi.MPICH, "/opt/lib/libmpi.so.12": mpi.MPICH,
		"/opt/cray/libmpi_gnu.so": mpi.MPICH, "": mpi.OtherMPI, "/lib/libmpi.so": mpi.OtherMPI,
	} {
		if got := familyOfFile(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

func TestSIGTERMIsAWarningUnderOpenMPIUnlessItsLimitWasRaised(t *testing.T) {
	const name = "OMPI_MCA_odls_base_sigkill_timeout"
	open4 := func(env ...string) verdict {
		return sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, false, lookup(env...))).Status
	}
	got := []verdict{
		open4(), open4(name + "=1"), open4(name + "=60"),
		sigterm(mpi.OpenMPI, mpi.EndingBy(mpi.OpenMPI, true, lookup(name+"=60"))).Status, // version 5 does not know it
		sigterm(mpi.MPICH, mpi.EndingBy(mpi.MPICH, false, lookup())).Status,
		sigterm(mpi.OtherMPI, mpi.EndingBy(mpi.OtherMPI, false, lookup())).Status,
	}
	if d := cmp.Diff([]verdict{warning, warning, fine, warning, fine, fine}, got); d != "" {
		t.Error(d)
	}
}

func TestWhatHasNotEndedIsAFindingAndNothingIsAddedLater(t *testing.T) {
	var f findings
	done := f.during("this")
	f.during("that")
	done()
	f.add(finding{"a", fine, "b", "", nil})
	all := f.close()
	f.add(finding{"late", fine, "", "", nil})
	if len(all) != 2 || all[1].Status != broken || !strings.Contains(all[1].Text, "that did not end") || len(f.all) != 2 {
		t.Errorf("findings: %+v", f.all)
	}
	for _, tt := range []struct {
		all  []finding
		want verdict
	}{{nil, fine}, {[]finding{{Status: fine}, {Status: warning}}, warning}, {[]finding{{Status: broken}, {Status: warning}, {Status: fine}}, broken}} {
		if got := printFindings(new(bytes.Buffer), tt.all, time.Second, false); got != tt.want {
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
			connectingInJob(mpi.MPICH, lookup()), connectingInJob(mpi.OpenMPI, lookup()), survivorsInJob(mpi.Launcher{Family: mpi.MPICH}, lookup(), ""),
			survivorsInJob(mpi.Launcher{Family: mpi.OpenMPI}, lookup(), ""), survivorsInJob(mpi.Launcher{}, lookup(), ""),
			survivorsInJob(mpi.Launcher{}, lookup(), "KillOnBadExit = 1"), connectingInJob(mpi.OpenMPI, lookup("OMPI_MCA_orte_num_nodes=2")))
		for _, f := range all {
			if f.Status != fine && f.Remedy == "" {
				t.Errorf("no remedy: %+v", f)
			}
		}
	}
}

func TestSlurmTellsWhetherSrunLeavesSurvivorsAlone(t *testing.T) {
	const zero, one = "InactiveLimit           = 0 sec\nKillOnBadExit           = 0\nKillWait = 5 sec\n", "KillOnBadExit = 1\n"
	for _, tt := range []struct {
		env, slurm string
		status     verdict
		want       string
	}{
		{"", zero, fine, "the others live on when one is killed: KillOnBadExit is 0"},
		{"", one, warning, "KillOnBadExit is 1"},
		{"SLURM_KILL_BAD_EXIT=1", zero, warning, "SLURM_KILL_BAD_EXIT is 1"},
		{"SLURM_KILL_BAD_EXIT=0", one, fine, "SLURM_KILL_BAD_EXIT is 0"},
		{"", "", warning, "cannot be told"},
	} {
		f := survivorsInJob(mpi.Launcher{Name: "srun"}, lookup(strings.Fields(tt.env)...), tt.slurm)
		if f.Status != tt.status || !strings.Contains(f.Text, tt.want) {
			t.Errorf("%q, %q: %+v, want %q", tt.env, tt.slurm, f, tt.want)
		}
	}
}

func TestTheVariablesOfTheCommandDoNotReachItsPrograms(t *testing.T) {
	t.Setenv("RANKPOOL_RUN_DIR", "/x")
	t.Setenv("RANKPOOL_BACKEND", "threads")
	env := strings.Join(childEnv(), "\n")
	if strings.Contains(env, "RANKPOOL_RUN_DIR") || !strings.Contains(env, "RANKPOOL_BACKEND=threads") {
		t.Error(env)
	}
}

func TestTheLibraryLendsItsModule(t *testing.T) {
	l, err := findLibrary(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, sum := l.files()
	for _, want := range []string{"module program\n", "go 1.", "require " + module + " v0.0.0-", fmt.Sprintf("replace %s => %q", module, l.dir), "github.com/emer/empi"} {
		if !bytes.Contains(mod, []byte(want)) {
			t.Errorf("no %q in\n%s", want, mod)
		}
	}
	if len(sum) == 0 {
		t.Error("no go.sum")
	}
	if _, err := findLibrary(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "--module") {
		t.Errorf("a folder without the library: %v", err)
	}
	l = library{version: "v1.2.3", goMod: []byte("module x\n\ngo 1.26\n")}
	if mod, _ := l.files(); !bytes.Contains(mod, []byte("require "+module+" v1.2.3\n")) || bytes.Contains(mod, []byte("replace")) {
		t.Errorf("of a version:\n%s", mod)
	}
}
