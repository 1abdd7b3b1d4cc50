//go:build linux

package docs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

// A reader does what a page says: writes its files, changes them and types its commands, one after another, in an empty folder that has a
// clone of the repository beside it.
type reader struct {
	dir string
	env []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	clone, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	above := t.TempDir()
	if err := os.Symlink(clone, filepath.Join(above, "rankpool")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(above, "empty")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &reader{dir: dir, env: append(os.Environ(),
		"GOPROXY=file://"+goEnv(t, "GOMODCACHE")+"/cache/download,"+goEnv(t, "GOPROXY"), "GOSUMDB=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOWORK=off", "RANKPOOL_LOG=warn",
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_rmaps_base_oversubscribe=1", "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe",
	)}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// types runs a block of commands, and returns what they wrote to standard output. The folder that they end in is the reader's next.
func (r *reader) types(t *testing.T, commands string, fails bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	where := filepath.Join(t.TempDir(), "pwd")
	cmd := exec.CommandContext(ctx, "bash", "-e", "-c", commands+"\npwd -L > "+where)
	cmd.Dir, cmd.Env = r.dir, append(r.env, "PWD="+r.dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if fails != (err != nil) {
		t.Fatalf("%v after\n%s\nwhich printed\n%s%s", err, commands, out.String(), errs.String())
	}
	if err == nil {
		pwd, err := os.ReadFile(where)
		if err != nil {
			t.Fatal(err)
		}
		r.dir = strings.TrimSpace(string(pwd))
	}
	return out.String()
}

// changes does to a file what a block of a diff says, which has one place.
func (r *reader) changes(t *testing.T, name, diff string) {
	t.Helper()
	var before, after strings.Builder
	for line := range strings.Lines(diff) {
		if line[0] != '+' {
			before.WriteString(line[1:])
		}
		if line[0] != '-' {
			after.WriteString(line[1:])
		}
	}
	path := filepath.Join(r.dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), before.String()); n != 1 {
		t.Fatalf("%s has the lines of this change %d times, want once:\n%s", name, n, diff)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), before.String(), after.String(), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// blocks are what stands between fences: what kind, and the text. The line before tells the name of a file.
var blocks = regexp.MustCompile("(?ms)^(?:In `([a-z.]+)`:\n\n)?```([a-z]+(?: [a-z]+)?)\n(.*?)^```$")

// reads does what is in a page, and returns how many blocks of commands it has run.
func (r *reader) reads(t *testing.T, page string) (commands int) {
	t.Helper()
	printed, said := "", "" // by the last commands, and in the page
	for _, m := range blocks.FindAllStringSubmatch(page, -1) {
		file, kind, text := m[1], m[2], m[3]
		switch kind {
		case "go":
			if file == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case "diff":
			r.changes(t, "main.go", text)
		case "sh", "sh fails", "sh killed":
			printed = r.types(t, text, kind == "sh fails")
			commands++
		case "sh mpi":
			if _, err := exec.LookPath("mpiexec"); err != nil {
				t.Logf("not run, there is no mpiexec:\n%s", text)
				continue
			}
			if out := r.types(t, text, false); out != said {
				t.Errorf("under mpiexec it prints %q, and the page says %q", out, said)
			}
		case "text":
			if said = text; printed != text {
				t.Errorf("the commands print %q, and the page says %q", printed, text)
			}
		}
	}
	return commands
}

func TestTheTutorialWorksWordForWord(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: builds several programs")
	}
	r := newReader(t)
	r.dir = filepath.Dir(r.dir) // it makes a folder of its own
	if n := r.reads(t, read(t, "docs/tutorial.md")); n < 6 {
		t.Errorf("%d blocks of commands were run, which is too few", n)
	}
}

func TestThePageOnJobsThatTakeDaysWorksWordForWord(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: builds a program")
	}
	r := newReader(t)
	r.dir = filepath.Dir(r.dir) // it makes a folder of its own
	if n := r.reads(t, read(t, "docs/long-jobs.md")); n < 2 {
		t.Errorf("%d blocks of commands were run, which is too few", n)
	}
}

func TestTheProgramOfTheReadmeWorksInAnEmptyFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: builds a program")
	}
	r := newReader(t)
	text := read(t, "README.md")
	if err := os.WriteFile(filepath.Join(r.dir, "main.go"), []byte(block(t, text, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, want := r.types(t, block(t, text, "sh"), false), block(t, text, "text"); out != want {
		t.Errorf("it prints %q, and the README says %q", out, want)
	}
}
