//go:build unix

package command_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "rankpool-mpi")
	out, err := exec.Command(rankpool, "build", "-o", path, "../../cmd/rankpool").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

// withMPI returns the command built with MPI, by itself.
func withMPI(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// patient has the doctor wait for a busy machine.
var patient = "--limit=" + limit.String()

// examined is a report of the doctor.
type examined struct {
	Status   string
	Seconds  float64
	Findings []struct {
		Subject, Status, Finding, Advice string
		Values                           map[string]float64
	}
}

func parse(t *testing.T, text string) (e examined) {
	t.Helper()
	from, to := strings.Index(text, "{"), strings.LastIndex(text, "}")
	if from < 0 || to < from {
		t.Fatalf("no report in:\n%s", text)
	}
	if err := json.Unmarshal([]byte(text[from:to+1]), &e); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	for _, f := range e.Findings {
		if f.Status != "ok" && f.Advice == "" {
			t.Errorf("no advice: %+v", f)
		}
	}
	return e
}

// expect fails the test unless a finding has a status and says something.
func (e examined) expect(t *testing.T, subject, status, want string) {
	t.Helper()
	for _, f := range e.Findings {
		if f.Subject == subject && f.Status == status && strings.Contains(f.Finding, want) {
			return
		}
	}
	t.Errorf("no finding about %s is %s and says %q in %+v", subject, status, want, e.Findings)
}

// rootMay is what Open MPI's mpiexec wants of root.
var rootMay = []string{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"}

func TestTheDoctorExaminesAnMPI(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		c := call{program: withMPI(t), args: []string{"doctor", "--json", patient, "--mpiexec", "mpiexec." + library}, env: rootMay}
		e := parse(t, c.run(t).out)
		name := map[string]string{"openmpi": "Open MPI", "mpich": "MPICH"}[library]
		e.expect(t, "command", "ok", "built with MPI")
		e.expect(t, "launcher", "ok", "mpiexec."+library)
		e.expect(t, "library", "ok", name)
		e.expect(t, "pairing", "ok", "a world of 2")
		e.expect(t, "threads", "ok", "MPI_THREAD_MULTIPLE")
		e.expect(t, "scheduler", "ok", "")
		e.expect(t, "building", "ok", name)
		for _, f := range e.Findings {
			if f.Subject == "speed" && (f.Values["round_trip_seconds"] <= 0 || f.Values["bytes_per_second"] < 1e6) {
				t.Errorf("the figures make no sense: %+v", f)
			}
		}
		if library == "openmpi" {
			e.expect(t, "slots", "ok", "universe size")
			e.expect(t, "SIGTERM", "warn", "kills 1s later")
			e.expect(t, "lost ranks", "ok", "live on")
			names, _ := mpitest.NameServer(library, "")
			if _, err := exec.LookPath(names.Args[0]); err == nil {
				e.expect(t, "connecting", "ok", "works")
			}
		} else { // version 4.0.2; others may leave them alone
			e.expect(t, "lost ranks", "warn", "takes the others of its host along")
			e.expect(t, "connecting", "warn", "MPI_Open_port")
		}
	})
}

func TestTheDoctorExaminesTheJobItRunsIn(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		c := call{program: withMPI(t), args: []string{"doctor", "--json", patient}}
		text := stripped(c.ranks(t, library, 2))
		if n := strings.Count(text, `"findings"`); n != 1 {
			t.Errorf("%d ranks report:\n%s", n, text)
		}
		e := parse(t, text)
		e.expect(t, "launcher", "ok", "2 processes")
		e.expect(t, "pairing", "ok", "a world of 2")
		e.expect(t, "speed", firstStatus(e, "speed"), "round trip")
	})
}

func TestARankWhoseProbeFailsTellsTheDoctorsReaderWhy(t *testing.T) {
	program := filepath.Join(t.TempDir(), "one-rank-without-a-library")
	script := `#!/bin/sh
[ "$OMPI_COMM_WORLD_RANK$PMI_RANK" != 1 ] || export RANKPOOL_MPI=/nowhere/libmpi.so
exec "` + withMPI(t) + `" "$@"
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, library string) {
		var text string
		for wait := 4 * time.Second; wait < limit; wait *= 2 { // it may be too short for a rank to start in, not for nothing
			text = call{program: program, args: []string{"doctor", "--limit", wait.String()}}.ranks(t, library, 2).out
			if strings.Contains(text, "part of the probe") {
				break
			}
		}
		for _, want := range []string{"rank 1 on ", "/nowhere/libmpi.so"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing:\n%s", want, text)
			}
		}
	})
}

// stripped is what the ranks printed without what their launcher says before and after.
func stripped(r result) string {
	from := strings.Index(r.out, "{\n")
	to := strings.LastIndex(r.out, "\n}")
	if from < 0 || to < from {
		return r.out
	}
	return r.out[from : to+2]
}

func firstStatus(e examined, subject string) string {
	for _, f := range e.Findings {
		if f.Subject == subject {
			return f.Status
		}
	}
	return ""
}

func TestTheDoctorRecognisesTheOtherMPIsLauncher(t *testing.T) {
	both := libraries(t)
	if len(both) < 2 {
		t.Skipf("only %s is here", both)
	}
	for i, library := range both {
		other := both[1-i]
		t.Run(library+" under "+other, func(t *testing.T) {
			c := call{program: withMPI(t), args: []string{"doctor", "--json", patient}, env: []string{"RANKPOOL_MPI=" + library}}
			r := c.ranks(t, other, 2)
			parse(t, stripped(r)).expect(t, "pairing", "fail", "is in a world of 1")
			if r.status != 1 {
				t.Errorf("status %d, want 1", r.status)
			}
			c.args, c.env = append(c.args, "--mpiexec", "mpiexec."+other), append(c.env, rootMay...)
			r = c.run(t)
			parse(t, r.out).expect(t, "pairing", "fail", "is in a world of 1")
			if r.status != 1 {
				t.Errorf("status %d, want 1", r.status)
			}
		})
	}
}

func TestWithoutMPITheDoctorSaysHowToGetIt(t *testing.T) {
	r := start("doctor").run(t)
	r.expect(t, 1, "built without MPI", "go install -tags mpi "+module+"/cmd/rankpool@latest", "host name", "scheduler")
}

func TestWithoutALauncherTheDoctorSaysSo(t *testing.T) {
	c := start("doctor", "--json")
	c.env = []string{"PATH=" + t.TempDir()}
	e := parse(t, c.run(t).out)
	e.expect(t, "launcher", "fail", "there is no mpiexec")
	e.expect(t, "building", "warn", "no go command")
}

func TestTheDoctorEndsWhateverHangsAndLeavesNothing(t *testing.T) {
	// A launcher that answers, then hangs with a child in a session of its own, and cannot be asked to end.
	dir := t.TempDir()
	fake := filepath.Join(dir, "mpiexec")
	pids := filepath.Join(dir, "pids")
	script := `#!/bin/sh
[ "$1" = --version ] && echo "mpiexec (OpenRTE) 9.9" && exit
trap '' TERM INT HUP
setsid sleep 1000 &
echo $! $$ >>` + pids + `
wait
sleep 1000
`
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	program := withMPI(t)
	if libraries(t)[0] != "openmpi" {
		t.Skip("the launcher pretends to be Open MPI's, which is not here")
	}
	var r result
	var started []string
	for short := 3 * time.Second; len(started) == 0 && short < time.Minute; short *= 2 { // until it is enough for the start
		r = call{program: program, args: []string{"doctor", "--limit", short.String(), "--mpiexec", fake}, env: rootMay}.run(t)
		text, _ := os.ReadFile(pids)
		started = strings.Fields(string(text))
	}
	r.expect(t, 1, "no MPI program starts here", "was killed")
	if len(started) == 0 {
		t.Fatal("nothing was started: this test is worth nothing")
	}
	for _, pid := range started {
		eventually(t, "process "+pid+" is gone", func() bool {
			line, err := os.ReadFile("/proc/" + pid + "/cmdline")
			return err != nil || len(line) == 0
		})
	}
}
