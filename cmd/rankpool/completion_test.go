package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// written is a file with what the command prints.
func written(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(printed(t, args...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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
			var part string
			switch name {
			case "fish":
				part = strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.Contains(l, " = "+n.Name+"'") }), "\n")
			case "the manual":
				_, part, _ = strings.Cut(text, ".SS rankpool "+n.Name+"\n")
				part, _, _ = strings.Cut(part, "\n.S")
			default:
				_, part, _ = strings.Cut(text, "\n  "+n.Name+")")
				part, _, _ = strings.Cut(part, "esac ;;")
			}
			for _, f := range options(n) {
				if !strings.Contains(part, "--"+f.Name) && !strings.Contains(part, " -l "+f.Name+" ") {
					t.Errorf("%s: no --%s of %s", name, f.Name, n.Name)
				}
				for _, variable := range f.Envs {
					if name == "the manual" && strings.Count(text, "\n.B "+variable+"\n\\fB--"+f.Name+`\fR of `) != 1 {
						t.Errorf("the manual does not say once that %s is --%s", variable, f.Name)
					}
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
	script := written(t, "completion", "bash")
	for line, want := range map[string]string{
		"rankpool rep":              "report",
		"rankpool bench --pl":       "--plot",
		"rankpool build --mpi mp":   "mpich mpicc",
		"rankpool build --mpi = mp": "mpich mpicc",
		"rankpool build --mpi =":    "auto openmpi mpich mpicc",
		"rankpool --v":              "--version",
		"rankpool report sw":        "", // bash completes files
		"rankpool completion f":     "fish",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(bash, "--norc", "-c", `. ./text; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rankpool; echo "${COMPREPLY[@]}"`, "bash")
		cmd.Args, cmd.Dir = append(cmd.Args, words...), filepath.Dir(script)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestFishCompletesOptionsOfTheSubcommandAndOfNoOther(t *testing.T) {
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("there is no fish")
	}
	script := written(t, "completion", "fish")
	for line, want := range map[string]string{
		"rankpool rep":                "report",
		"rankpool bench --pl":         "--plot",
		"rankpool report bench --pl":  "",
		"rankpool build --mpi=mpicc":  "--mpi=mpicc",
		"rankpool completion journal": "",
	} {
		out, err := exec.Command(fish, "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script, line).Output()
		var got []string
		for l := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, word)
		}
		if err != nil || strings.Join(got, " ") != want {
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
		{"zsh", []string{"-f", "-n"}, []string{"completion", "zsh"}},
		{"fish", []string{"--no-execute"}, []string{"completion", "fish"}},
	} {
		t.Run(c.program, func(t *testing.T) {
			path, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("there is no %s", c.program)
			}
			cmd := exec.Command(path, append(c.args, written(t, c.text...))...)
			var complaints strings.Builder
			cmd.Stderr = &complaints
			if err := cmd.Run(); err != nil || complaints.Len() > 0 {
				t.Errorf("%v: %s", err, complaints.String())
			}
		})
	}
}
