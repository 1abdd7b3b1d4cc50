package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// requeues is the script of docs/clusters.md that puts its job back into the queue and has a line like that one, with other words in some places: each
// pattern stands for one place.
func requeues(t *testing.T, line string, with map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "clusters.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script := block[1]
		if !strings.Contains(script, "--requeue") || !strings.Contains(script, line) {
			continue
		}
		for from, to := range with {
			old := regexp.MustCompile(from)
			if n := len(old.FindAllString(script, -1)); n != 1 {
				t.Fatalf("%d of %q, want 1, in:\n%s", n, from, script)
			}
			script = old.ReplaceAllLiteralString(script, to)
		}
		return script
	}
	t.Fatalf("docs/clusters.md has no script with --requeue and %q", line)
	return ""
}

// batchJob is a job that is in the queue, or was.
type batchJob struct {
	c   *cluster
	id  string
	dir string
}

// submit queues a script. The job ends with the test.
func submit(t *testing.T, script string) batchJob {
	t.Helper()
	j := batchJob{c: slurm(t), dir: t.TempDir()}
	path := filepath.Join(j.dir, "job.sh")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := j.slurm("sbatch", "--parsable", "--output=job.out", path)
	if err != nil {
		t.Fatalf("sbatch: %v\n%s", err, out)
	}
	j.id = strings.TrimSpace(out)
	t.Cleanup(func() { _, _ = j.slurm("scancel", "--signal=KILL", "--full", j.id); _, _ = j.slurm("scancel", j.id) })
	return j
}

// slurm runs a command of Slurm.
func (j batchJob) slurm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := j.c.command(ctx, append(j.c.on("node1"), args...))
	cmd.Dir = j.dir
	cmd.Env = append(cmd.Env, environment("OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ends waits until the job has ended for good, and returns in which state. What was put back into the queue does not wait there for the two minutes that are
// the default: it is told to begin, once for each time. It does not begin at once, for a node's daemon refuses credentials that were made in the second
// in which the job was killed there, or before, and Slurm then takes the job for failed. look is called now and then meanwhile.
func (j batchJob) ends(t *testing.T, look func()) string {
	t.Helper()
	field := func(record, name string) string {
		m := regexp.MustCompile(`\b` + name + `=(\S+)`).FindStringSubmatch(record)
		if m == nil {
			return ""
		}
		return m[1]
	}
	told := map[string]bool{}
	for end := time.Now().Add(2 * testkit.Suite); time.Now().Before(end); time.Sleep(time.Second) { // Slurm tells nobody
		look()
		record, err := j.slurm("scontrol", "--oneliner", "show", "job", j.id)
		if err != nil {
			continue // it is busy
		}
		switch state := field(record, "JobState"); {
		case state == "PENDING" && field(record, "Reason") == "BeginTime" && !told[field(record, "Restarts")]:
			_, err := j.slurm("scontrol", "update", "JobId="+j.id, "StartTime=now+3")
			told[field(record, "Restarts")] = err == nil
		case slices.Contains([]string{"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"}, state):
			return state
		}
	}
	t.Fatalf("the daemons have logged:\n%s\nand the job does not end; it printed:\n%s", j.c.slurmLogs(), j.output())
	return ""
}

func (j batchJob) output() string {
	out, _ := os.ReadFile(filepath.Join(j.dir, "job.out"))
	return string(out)
}

func TestAJobThatNeedsThreeWalltimesPutsItselfBackIntoTheQueueAndRunsNothingTwice(t *testing.T) {
	slurm(t)
	probe := binaries.Build(t, "github.com/rankpool/rankpool/tests/modes/probe")
	// Where the machine is so busy that the job does not get ready between its start and the warning, half a minute at least, it is given more.
	for minutes, crashes := 2, 0; ; {
		dir := t.TempDir()
		j := submit(t, requeues(t, "\nsrun ", map[string]string{
			// of the minutes the last one comes after the warning
			`--time=\S+`: fmt.Sprintf("--time=%d", minutes), `--signal=TERM@\d+`: "--signal=TERM@60", `--mpi=\S+`: "--mpi=" + right(),
			`\./sweep\b`: fmt.Sprintf("%s -dir %s walltimes", probe, dir),
		}))
		state := j.ends(t, func() {})
		text, err := os.ReadFile(filepath.Join(dir, "notes"))
		told := strings.Count(j.output(), "ended by signal: terminated")
		again := false
		switch {
		case state != "COMPLETED" && initCrashed(j.output()) && crashes < 2:
			crashes++
			again = true
		case (state == "TIMEOUT" || state == "COMPLETED" && told < 2) && minutes < 4:
			minutes *= 2
			again = true
		}
		if again {
			t.Logf("the job ended as %s (%v), so it is run once more, with %d minutes; it printed:\n%s\nand noted:\n%s", state, err, minutes, j.output(), text)
			continue
		}
		if err != nil || state != "COMPLETED" {
			t.Logf("the daemons have logged:\n%s\nand the job has noted:\n%s", j.c.slurmLogs(), text)
			t.Fatalf("the job ended as %s (%v); it printed:\n%s", state, err, j.output())
		}
		checkWalltimes(t, string(text), j.output())
		return
	}
}

// The signal is the one that the script asks Slurm for, and is sent when a run has got as far as it gets.
func TestAScriptPassesTheWarningOnToMpiexecAndPutsItsJobBackIntoTheQueue(t *testing.T) {
	slurm(t)
	probe := binaries.Build(t, "github.com/rankpool/rankpool/tests/modes/probe")
	dir := t.TempDir()
	j := submit(t, requeues(t, "\nmpiexec ", map[string]string{
		`--time=\S+`: "--time=10", `\bmpiexec -n`: "mpiexec." + library + " -n",
		`\./sweep\b`: fmt.Sprintf("%s -drains -dir %s walltimes", probe, dir),
	}))
	notes := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "notes"))
		return string(text)
	}
	warned := 0
	state := j.ends(t, func() {
		if warned < 2 && strings.Count(notes(), "ran ") == 40*(warned+1) {
			if _, err := j.slurm("scancel", "--batch", "--signal=USR1", j.id); err == nil { // or it is busy
				warned++
			}
		}
	})
	if told := strings.Count(j.output(), "ended by signal: user defined signal 1"); state != "COMPLETED" || told != 2 {
		t.Logf("the daemons have logged:\n%s\nand the job has noted:\n%s", j.c.slurmLogs(), notes())
		t.Fatalf("the job ended as %s, and was told to end %d times; it printed:\n%s", state, told, j.output())
	}
	checkWalltimes(t, notes(), j.output())
}

// checkWalltimes looks at what the runs of a job have noted.
func checkWalltimes(t *testing.T, notes, output string) {
	t.Helper()
	runs, over := 0, 0
	came, recorded := map[int]bool{}, 0
	for line := range strings.Lines(notes) {
		var what string
		var n int
		if _, err := fmt.Sscan(line, &what, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch what {
		case "claims":
			if runs++; n != 0 {
				t.Errorf("run %d finds a claim of the one before: the journal was not closed", runs)
			}
			recorded = len(came)
		case "ran":
			if came[n] {
				t.Errorf("element %d runs again in run %d, although it was recorded", n, runs)
			}
		case "came":
			came[n] = true
		case "over":
			if over++; n < recorded {
				t.Errorf("%d elements were recalled at last, and %d had been recorded", n, recorded)
			}
		}
	}
	if runs < 3 || over != 1 || len(came) != 120 {
		t.Errorf("%d runs, of which %d have finished, and %d elements of 120; the job printed:\n%s\nand noted:\n%s", runs, over, len(came), output, notes)
	}
}
