package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/rankpool/rankpool/internal/command"
)

func printed(t *testing.T, args ...string) string {
	t.Helper()
	status, out, complaint := started(-1, args...)
	if status != 0 {
		t.Fatalf("%q: status %d: %s", args, status, complaint)
	}
	return out
}

// What is added to the grammar is in the scripts and in the manual.
func TestCompletionsAndTheManualHaveEverySubcommandAndOption(t *testing.T) {
	app := kong.Must(&commands{}, kong.Bind(command.Surroundings{}))
	all := map[string]string{"the manual": printed(t, "man")}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		all[shell] = printed(t, "completion", shell)
	}
	for name, text := range all {
		text = strings.ReplaceAll(text, `\-`, "-")
		for _, n := range visible(app.Model.Node) {
			if !strings.Contains(text, n.Name) {
				t.Errorf("%s: no %s", name, n.Name)
			}
			for _, f := range options(n) {
				if !strings.Contains(text, "--"+f.Name) && !strings.Contains(text, "-l "+f.Name) {
					t.Errorf("%s: no --%s of %s", name, f.Name, n.Name)
				}
			}
		}
	}
	for _, n := range app.Model.Children {
		if n.Hidden && strings.Contains(all["bash"], n.Name) {
			t.Errorf("%s is hidden, and offered", n.Name)
		}
	}
}

func TestBashCompletesSubcommandsOptionsTheirValuesAndFiles(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(printed(t, "completion", "bash")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sweep.rec"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"rankpool rep":            "report",
		"rankpool bench --pl":     "--plot",
		"rankpool build --mpi mp": "mpich mpicc",
		"rankpool report sw":      "sweep.rec",
		"rankpool completion f":   "fish",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(bash, "--norc", "-c", `. ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rankpool; echo "${COMPREPLY[@]}"`, "bash")
		cmd.Args, cmd.Dir = append(cmd.Args, words...), dir
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

// Their own parsers read what is for other programs.
func TestWhatIsPrintedForOtherProgramsIsReadByThem(t *testing.T) {
	for _, c := range []struct {
		program string
		args    []string
		text    []string
	}{
		{"groff", []string{"-man", "-ww", "-Tutf8"}, []string{"man"}},
		{"zsh", []string{"-n"}, []string{"completion", "zsh"}},
		{"fish", []string{"--no-execute"}, []string{"completion", "fish"}},
	} {
		t.Run(c.program, func(t *testing.T) {
			path, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("there is no %s", c.program)
			}
			file := filepath.Join(t.TempDir(), "text")
			if err := os.WriteFile(file, []byte(printed(t, c.text...)), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, append(c.args, file)...)
			var complaints strings.Builder
			cmd.Stderr = &complaints
			if err := cmd.Run(); err != nil || complaints.Len() > 0 {
				t.Errorf("%v: %s", err, complaints.String())
			}
		})
	}
}
