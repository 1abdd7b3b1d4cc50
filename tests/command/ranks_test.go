//go:build unix

package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

func TestOneRankBuildsAndAllRunTheProgram(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		for name, c := range map[string]call{
			"a file":          start("run", greet, "-x"),
			"a directory":     start("run", filepath.Dir(greet), "-x"),
			"a package":       start("run", "-m", "./testdata/greet", "-x"),
			"another package": start("run", "--package", module+"/tests/command/testdata/greet", "-x"),
		} {
			t.Run(name, func(t *testing.T) {
				r := c.ranks(t, library, 3)
				r.expect(t, 0, `sum 30 by 2 mpi; `, `["-x"]; worker false`)
				if n := strings.Count(r.out, "sum 30"); n != 1 {
					t.Errorf("the program ran %d times", n)
				}
				tidied(t, r.folder)
			})
		}
		start("run", "-c", `n, err := ex.NumWorkers(ctx); fmt.Println(n, ex.Backend(), os.Args, err)`, "-x").
			ranks(t, library, 3).expect(t, 0, "2 mpi [-c -x] <nil>")
	})
}

func TestStandardInputGoesToTheRankThatBuilds(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		r, err := mpitest.Command{
			Args: []string{"sh", "-c", `"$1" $2 -n 3 "$3" run - -x <"$4"`, "sh", "mpiexec." + library,
				map[string]string{"openmpi": "--oversubscribe --bind-to none", "mpich": ""}[library], rankpool, greet},
			Env: []string{"RANKPOOL_RUN_DIR=" + t.TempDir(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"}, Limit: limit,
		}.Run(t.Context())
		if err != nil || r.Code != 0 || !strings.Contains(r.Output, `sum 30 by 2 mpi; - ["-x"]`) {
			t.Errorf("%v, status %d:\n%s", err, r.Code, r.Output)
		}
	})
}

func TestABuiltProgramNeedsNoFolder(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		program := filepath.Join(t.TempDir(), "built")
		call{args: []string{"build", "--mpi", library, "-o", program, "./testdata/greet"}}.run(t).expect(t, 0)
		c := start("run", program, "-x")
		c.folder = "/proc/self/nowhere"
		c.ranks(t, library, 3).expect(t, 0, `sum 30 by 2 mpi; built ["-x"]`)
	})
}

func TestSeveralJobsBuildInOneFolder(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		folder := t.TempDir()
		var jobs sync.WaitGroup
		for i := range 3 {
			jobs.Go(func() {
				c := start("exec", "-c", fmt.Sprintf(`fmt.Println("job", %d)`, i))
				c.folder = folder
				r := c.ranks(t, library, 2)
				if n := strings.Count(r.out, fmt.Sprint("job ", i)); r.status != 0 || n != 2 {
					t.Errorf("job %d: status %d, ran on %d of 2 ranks:\n%s", i, r.status, n, r.out)
				}
			})
		}
		jobs.Wait()
		tidied(t, folder)
	})
}

func TestAnErrorOfTheMasterEndsTheJobWithOne(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		start("run", greet, "fail").ranks(t, library, 3).expect(t, 1, "told to fail")
		start("run", greet, "panic").ranks(t, library, 3).expect(t, 1, "told to panic")
	})
}

func TestAPanicOfAWorkerOutsideOfATaskEndsTheJob(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		r := start("run", greet, "outside").ranks(t, library, 2)
		if r.expect(t, r.status, "outside of a task"); r.status == 0 {
			t.Errorf("status 0:\n%s", r.out)
		}
	})
}

func TestAMistakeIsToldOnceInAJob(t *testing.T) {
	refused := source(t, "package main\n\nfunc main() { undefinedName() }\n")
	onEach(t, func(t *testing.T, library string) {
		for name, tt := range map[string]struct {
			args []string
			want string
		}{
			"usage":      {[]string{"run", "--bogus"}, "unknown flag --bogus"},
			"no program": {[]string{"run", "does/not/exist.go"}, "there is no such file or directory"},
			"compiler":   {[]string{"run", refused}, "undefined: undefinedName"},
			"no folder":  {[]string{"run", "--dir", "/proc/self/nowhere", greet}, "cannot use the folder"},
		} {
			t.Run(name, func(t *testing.T) {
				r := call{args: tt.args}.ranks(t, library, 3)
				r.expect(t, 1, tt.want)
				if n := strings.Count(r.out, tt.want); n != 1 {
					t.Errorf("told %d times:\n%s", n, r.out)
				}
				tidied(t, r.folder)
			})
		}
		r := start("run", "--help").ranks(t, library, 3)
		if r.expect(t, 0, "Usage:"); strings.Count(r.out, "Usage:") != 1 {
			t.Errorf("help is printed more than once:\n%s", r.out)
		}
	})
}

// failing is a plain program that does not know of MPI.
const failing = `package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	rank := os.Getenv("OMPI_COMM_WORLD_RANK") + os.Getenv("PMI_RANK")
	fmt.Println("rank", rank, os.Args[1])
	if rank == "1" {
		switch os.Args[1] {
		case "exit":
			os.Exit(7)
		case "panic":
			panic("so be it")
		case "die":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	if os.Args[1] != "end" {
		time.Sleep(10 * time.Minute)
		fmt.Println("too late")
	}
}
`

func TestExecRunsAProgramOnEveryRankAndEndsTheJobWhenOneFails(t *testing.T) {
	program := source(t, failing)
	onEach(t, func(t *testing.T, library string) {
		for act, status := range map[string]int{"end": 0, "exit": 7, "panic": 2, "die": 137} {
			t.Run(act, func(t *testing.T) {
				r := start("exec", program, act).ranks(t, library, 3)
				r.expect(t, status)
				if n := len(regexp.MustCompile(`(?m)rank \d `+act).FindAllString(r.out, -1)); act == "end" && n != 3 {
					t.Errorf("%d of 3 ranks ran:\n%s", n, r.out)
				}
				if strings.Contains(r.out, "too late") {
					t.Errorf("the job did not end with the rank that failed:\n%s", r.out)
				}
				if strings.Contains(r.out, "goroutine") != (act == "panic") {
					t.Errorf("only a panic has a traceback:\n%s", r.out)
				}
				tidied(t, r.folder)
			})
		}
	})
}

func TestWithACommandBesideItARankThatIsKilledLeavesTheOthersAlone(t *testing.T) {
	program := source(t, `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signal.Ignore(syscall.SIGUSR1) // so MPICH's launcher tells of a loss
	if os.Getenv("OMPI_COMM_WORLD_RANK")+os.Getenv("PMI_RANK") == "1" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	for range 5 {
		time.Sleep(200 * time.Millisecond)
		fmt.Println("here")
	}
	fmt.Println("lived")
}
`)
	option := mpitest.Leave
	onEach(t, func(t *testing.T, library string) {
		r := start("run", "--stay", program).ranks(t, library, 3, option[library])
		if n := strings.Count(r.out, "lived"); n != 2 {
			t.Errorf("%d of 2 ranks lived on:\n%s", n, r.out)
		}
		tidied(t, r.folder)
	})
	r := start("run", "--stay", greet, "-x").run(t)
	r.expect(t, 0, `["-x"]`)
	start("run", "--stay", "-c", "_ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {}").run(t).expect(t, 137)
	signal.Ignore(syscall.SIGHUP) // as nohup does
	defer signal.Reset(syscall.SIGHUP)
	start("run", "--stay", "-c", "fmt.Println(\"ignored:\", signal.Ignored(syscall.SIGHUP))").run(t).expect(t, 0, "ignored: true")
}

// asRank starts the command as a rank of a job that has no MPI: the variables are all that it sees of a launcher.
func asRank(t *testing.T, folder, job string, rank, size int, args ...string) (wait func() result) {
	c := call{args: args, folder: folder, env: []string{
		"OMPI_COMM_WORLD_SIZE=" + fmt.Sprint(size), "OMPI_COMM_WORLD_RANK=" + fmt.Sprint(rank),
		"OMPI_COMM_WORLD_LOCAL_RANK=" + fmt.Sprint(rank), "PMIX_NAMESPACE=" + job,
	}}
	done := make(chan result, 1)
	var group sync.WaitGroup
	group.Go(func() { done <- c.run(t) })
	return func() result {
		group.Wait()
		return <-done
	}
}

func TestARankThatNeverComesIsNamedInBoundedTime(t *testing.T) {
	folder := t.TempDir()
	alone := func(job string, rank int, wait time.Duration, want string) (result, time.Duration) {
		for ; ; wait *= 2 {
			r := asRank(t, folder, job, rank, 3, "exec", "--mpi", "none", "--wait", wait.String(), "-c", "fmt.Println(1)")()
			if wait > limit || strings.Contains(r.errors, want) { // else it may have been too short for the first look at the folder
				return r, wait
			}
		}
	}
	leader, wait := alone("a", 0, 2*time.Second, "have not come")
	leader.expect(t, 1, "ranks 1, 2 of 3 have not come to "+folder, "within "+wait.String(), "--dir", "--wait")
	tidied(t, folder)
	follower, wait := alone("b", 1, 200*time.Millisecond, "has waited")
	follower.expect(t, 1, "rank 1 on ", fmt.Sprintf("has waited %v in %s", wait, folder), "--dir")
}

func TestAJobAfterOneOfTheSameNameGetsItsOwnProgram(t *testing.T) {
	folder := t.TempDir()
	for i := range 3 {
		text := fmt.Sprintf("fmt.Println(%d)", i)
		follower := asRank(t, folder, "same", 1, 2, "exec", "--mpi", "none", "-c", text)
		leader := asRank(t, folder, "same", 0, 2, "exec", "--mpi", "none", "-c", text)
		for _, r := range []result{leader(), follower()} {
			if r.expect(t, 0); r.out != fmt.Sprintln(i) {
				t.Errorf("start %d printed %q", i, r.out)
			}
		}
	}
	tidied(t, folder)
}

func TestAJobThatHasNoNameSaysWhatToDo(t *testing.T) {
	c := start("run", greet)
	c.env = []string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0"}
	c.run(t).expect(t, 1, "--job")
}

// linking is a program that imports mpicomm.
const linking = "../modes/parallel"

func TestBuildLinksTheLibraryThatWasAskedFor(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		// One after the other with one build cache: the second must not get the first one's objects.
		program := filepath.Join(t.TempDir(), "parallel")
		call{args: []string{"build", "--mpi", library, "-o", program, linking}}.run(t).expect(t, 0, "rankpool: linking with")
		linked(t, program, library)

		env := call{args: []string{"build", "--mpi", library, "--env"}, env: []string{"XDG_CACHE_HOME=" + t.TempDir()}}.run(t)
		env.expect(t, 0, "export PKG_CONFIG=", "export CGO_CFLAGS=")
		out, err := exec.Command("sh", "-c", env.out+`go build -tags mpi -o "$1" "$2"`, "sh", program+"2", linking).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		linked(t, program+"2", library)
	})
}

// linked fails the test unless a program is linked with a launcher's library, or with none.
func linked(t *testing.T, program string, launchers ...string) {
	t.Helper()
	libs, err := mpitest.Libraries(program)
	if err != nil || len(libs) != len(launchers) || len(libs) > 0 && mpitest.LauncherOf(libs[0]) != launchers[0] {
		t.Errorf("linked with %q (%v), want %s", libs, err, launchers)
	}
}

func TestRunLinksAProgramThatImportsEmpiWithTheLaunchersLibrary(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		start("run", linking, "sums").ranks(t, library, 3).expect(t, 0, "all sums are right")
	})
}

// noMPI is a path with Go on it and no MPI.
func noMPI(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	path, err := exec.LookPath("go")
	if err == nil {
		err = os.Symlink(path, filepath.Join(dir, "go"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir, "PKG_CONFIG=", "MPICC=", "CGO_ENABLED="} // there is no C compiler either: go build decides
}

func TestWithoutAnMPIWhatIsNotLinkedIsBuiltAndTheRestListsWhatWasTried(t *testing.T) {
	tried := []string{"mpicc: not on the path", "pkg-config ompi", "pkg-config mpich"}
	start("build", "--env", "./testdata/greet").run(t).expect(t, 1, "--env builds nothing", "Usage:")
	c := start("build", "--env")
	c.env = noMPI(t)
	c.run(t).expect(t, 1, tried...)
	c.args = []string{"build", linking}
	c.run(t).expect(t, 1, tried...)
	program := filepath.Join(t.TempDir(), "greet")
	c.args = []string{"build", "-o", program, "./testdata/greet"}
	c.run(t).expect(t, 0)
	linked(t, program)
	c = start("build", "-o", os.DevNull, source(t, "package main\nfunc main() { x }\n"))
	c.run(t).expect(t, 1, "undefined: x")
}

func TestAnInterruptOfTheLauncherReachesTheProgram(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		c := start("exec", source(t, `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	fmt.Println("ready")
	fmt.Println("got", <-c)
}
`))
		// Through the launcher, as a batch system sends it.
		c.args = append(c.args, "x")
		script := `"$@" & pid=$!; while [ "$(grep -c ready "$OUT")" -lt 2 ]; do sleep 0.1; done; kill -USR1 $pid; wait $pid`
		out := filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(out, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"sh", "-c", "{ " + script + "; } >\"$OUT\" 2>&1", "sh", "mpiexec." + library}
		if library == "openmpi" {
			args = append(args, "--oversubscribe", "--bind-to", "none")
		}
		r, err := mpitest.Command{
			Args:  append(append(args, "-n", "2", rankpool), c.args...),
			Env:   []string{"OUT=" + out, "RANKPOOL_RUN_DIR=" + t.TempDir(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"},
			Limit: limit,
		}.Run(t.Context())
		if n := strings.Count(read(t, out), "got "+syscall.SIGUSR1.String()); err != nil || r.Code != 0 || n != 2 {
			t.Errorf("%v, status %d, %d of 2 ranks were told:\n%s%s", err, r.Code, n, r.Output, read(t, out))
		}
	})
}
