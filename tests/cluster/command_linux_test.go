package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/testkit"
)

// command is the path of rankpool, built as this test is.
func command(t *testing.T) string {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	return binaries.Build(t, "github.com/rankpool/rankpool/cmd/rankpool")
}

// inEveryJob starts the command as four ranks on three hosts, with mpiexec and with srun. Programs are built in folder, which
// the hosts share.
func inEveryJob(t *testing.T, args []string, test func(t *testing.T, o outcome, folder string)) {
	t.Helper()
	rankpool := command(t)
	srun := []string{"srun", "--mpi=" + right(), "-N", "3", "-n", "4", rankpool}
	for name, start := range map[string]func(t *testing.T, env []string) outcome{
		"mpiexec": func(t *testing.T, env []string) outcome { return threeHosts.start(t, env, rankpool, args...) },
		"srun":    func(t *testing.T, env []string) outcome { return slurmRun(t, env, append(srun, args...)...) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			test(t, start(t, []string{"RANKPOOL_RUN_DIR=" + folder}), folder)
		})
	}
}

// aProgram is the path of a source file that prints on which hosts it has workers.
func aProgram(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../examples/hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOneHostBuildsAProgramAndAllRunIt(t *testing.T) {
	inEveryJob(t, []string{"run", aProgram(t), "Ada", "Grace", "Barbara"}, func(t *testing.T, o outcome, folder string) {
		bySrun := strings.HasSuffix(t.Name(), "/srun")
		want := []string{"node1", "node2", "node3"}
		if got := o.succeeded(t).greeters(); !cmp.Equal(want, got) {
			t.Errorf("%v greeted, want %v:\n%s", got, want, o.output)
		}
		if bySrun { // a scheduler may kill the process that tidies up; the next start does it then
			return
		}
		testkit.Until(t, "the folder is empty: a process tidies up after the end of the job", func() bool {
			left, err := os.ReadDir(folder)
			return err == nil && len(left) == 0
		})
	})
}

func TestHostsThatShareNoFolderAreToldSo(t *testing.T) {
	rankpool := command(t)
	own := filepath.Join(hosts(t).dir, "tmp", "run") // each host's own
	var o outcome
	for wait := 2 * time.Second; wait < limit; wait *= 2 {
		o = threeHosts.start(t, nil, rankpool, "run", "--dir", own, "--wait", wait.String(), aProgram(t))
		if strings.Contains(o.output, "do all hosts share") { // else it may have been too short for the first look at the folder
			break
		}
	}
	if o.code == 0 {
		t.Error("status 0")
	}
	o.says(t, `do all hosts share this folder\? choose another with --dir or RANKPOOL_RUN_DIR`)
}

func TestTheDoctorExaminesAJobOnThreeHosts(t *testing.T) {
	inEveryJob(t, []string{"doctor", "--limit", (limit / 2).String()}, func(t *testing.T, o outcome, _ string) {
		t.Log(o.output)
		o.succeeded(t).says(t,
			`(?m)^(ok    host name   node1 is 10\.77\.0\.1$|warn  host name   node1 resolves to 10\.77\.0\.1, but that takes )`,
			`(?m)^ok    launcher    \S.*, 4 processes `,
			`(?m)^ok    pairing     launcher and library belong together: a world of 4$`,
			`(?m)^(ok  |warn)  speed       within node1: round trip [\d.]+ us`,
			`(?m)^(ok  |warn)  speed       between node1 and node[23]: round trip [\d.]+ us`,
			`(?m)^(ok  |warn)  binding     `,
		)
		if strings.HasSuffix(t.Name(), "/srun") {
			o.says(t, `(?m)^ok    lost ranks  the others live on when one is killed: KillOnBadExit is 0`)
		}
		if n := strings.Count(o.output, "host name "); n != 1 {
			t.Errorf("%d of 4 ranks report:\n%s", n, o.output)
		}
	})
}
