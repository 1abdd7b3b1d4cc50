package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "reach" { // this program is the command
		os.Exit(start(os.Args[1:], command.Surroundings{Out: os.Stdout, Err: os.Stderr}))
	}
	testkit.Main(m)
}

// Whatever follows the program's name is the program's.
func TestTheParserNeverSeesTheProgramsOptions(t *testing.T) {
	app := kong.Must(&commands{}, kong.Bind(command.Surroundings{}))
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
		if _, err := protect(app.Model.Node, strings.Fields(line)); !errors.As(err, new(*command.UsageError)) {
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
	status = start(args, command.Surroundings{Launcher: l, Out: &o, Err: &e})
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
	for _, name := range []string{"run", "exec", "build", "doctor", "report"} {
		_, out, _ := started(-1, name, "--help")
		if !strings.Contains(out, "Examples:") || !strings.Contains(out, "Status:") || strings.Contains(out, "tidy") {
			t.Errorf("%s --help:\n%s", name, out)
		}
	}
}
