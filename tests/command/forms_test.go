//go:build unix

package command_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/rankpool/rankpool"

func TestEveryFormRunsOnceAndSeesItsOwnArguments(t *testing.T) {
	alone := source(t, read(t, greet)) // in no module
	binary := filepath.Join(t.TempDir(), "built")
	if out, err := exec.Command("go", "build", "-o", binary, greet).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	nowhere := t.TempDir()
	flat := zipped(t, "flat.zip", map[string]string{"main.go": read(t, greet)})
	foldered := zipped(t, "foldered.ZIP", map[string]string{"sweep/main.go": read(t, greet), "__MACOSX/._main.go": "?"})
	library, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ofModule := zipped(t, "module.zip", map[string]string{
		"main.go": "package main\n\nimport \"example.org/sweep/inner\"\n\nfunc init() { inner.Same() }\n", "greet.go": read(t, greet),
		"inner/inner.go": "package inner\n\nfunc Same() {}\n", "go.sum": read(t, filepath.Join(library, "go.sum")),
		"go.mod": strings.Replace(read(t, filepath.Join(library, "go.mod")), "module "+module, "module example.org/sweep", 1) +
			"\nrequire " + module + " v0.0.0-00010101000000-000000000000\n\nreplace " + module + " => " + library + "\n",
	})
	for _, tt := range []struct {
		name, zero string
		call       call
	}{
		{"a file of a module", "main.go", call{args: []string{greet}}},
		{"a file of no module", "program.go", call{args: []string{alone}}},
		{"a file by its relative path", "program.go", call{args: []string{"./program.go"}, dir: filepath.Dir(alone)}},
		{"a directory of a module", "greet", call{args: []string{filepath.Dir(greet)}}},
		{"a directory of no module", filepath.Base(filepath.Dir(alone)), call{args: []string{filepath.Dir(alone)}}},
		{"the working directory", ".", call{args: []string{"."}, dir: filepath.Dir(alone)}},
		{"a package", "greet", call{args: []string{"-m", module + "/tests/command/testdata/greet"}}},
		{"a package by its path", "greet", call{args: []string{"-m", "./testdata/greet"}}},
		{"a package of the library, from no module", "greet", call{args: []string{"--package=" + module + "/tests/command/testdata/greet"}, dir: nowhere}},
		{"standard input", "-", call{args: []string{"-"}, stdin: read(t, greet), dir: nowhere}},
		{"standard input, in a module", "-", call{args: []string{"-"}, stdin: read(t, greet)}},
		{"a zip file", "flat.zip", call{args: []string{flat}, dir: nowhere}},
		{"a zip file with a folder", "foldered.ZIP", call{args: []string{foldered}}},
		{"a zip file with a module", "module.zip", call{args: []string{ofModule}}},
		{"a built program", "built", call{args: []string{binary}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.call
			c.args = append(append([]string{"run"}, c.args...), "-v", "--help", "--", "x y", "")
			r := c.run(t)
			r.expect(t, 0)
			if want := `sum 30 by 2 processes; ` + tt.zero + ` ["-v" "--help" "--" "x y" ""]; worker false` + "\n"; r.out != want || r.errors != "" {
				t.Errorf("it says\n%s%s, want\n%s", r.out, r.errors, want)
			}
			tidied(t, r.folder)
		})
	}
}

// zipped writes a zip file.
func zipped(t *testing.T, name string, files map[string]string) (path string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), name)
	if err := errors.Join(w.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAZipFileThatIsNoProgramIsRefusedWithTheReason(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.zip")
	if err := os.WriteFile(broken, []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		broken: "it is no zip file",
		zipped(t, "data.zip", map[string]string{"data.txt": "x"}):            "it has no Go file at its top",
		zipped(t, "library.zip", map[string]string{"p.go": "package p\n"}):   "its package is not main",
		zipped(t, "escapes.zip", map[string]string{"../main.go": "package"}): `"../main.go" in it: the name is not that of a file below the top`,
	} {
		r := start("run", path).run(t)
		r.expect(t, 1, path, want)
		tidied(t, r.folder)
	}
}

func TestStatementsFindWhatTheyNeed(t *testing.T) {
	call{dir: t.TempDir(), args: []string{"run", "-c", `
		import "math/rand"
		var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
		for y, err := range futures.Map(ctx, ex, square, []int{2, 3}) {
			if err != nil { return err }
			fmt.Print(y, " ")
		}
		_, err := strconv.Atoi(os.Args[1])
		fmt.Println(os.Args, rand.Intn(1), err)`, "7", "-x"}}.run(t).expect(t, 0, "4 9 [-c 7 -x] 0 <nil>")
	start("run", "-c", `return errors.New("so be it")`).run(t).expect(t, 1, "so be it")
	start("run", "-c", "fmt.Println(1)\n\tfmt.Println(y)").run(t).expect(t, 1, "-c:2:14: undefined: y", "cannot build the statements")
	start("exec", "-c", `fmt.Println(os.Args, ctx.Err())`, "-x").run(t).expect(t, 0, "[-c -x] <nil>")
	start("exec", "-c", `return errors.New("so be it")`).run(t).expect(t, 1, "so be it")
}

func TestStatementsMayImportTheModuleOfTheWorkingDirectory(t *testing.T) {
	start("run", "-c", `import "`+module+`/internal/mpi"; fmt.Println(mpi.Built)`).run(t).expect(t, 0, "false")
}

func TestTheSourceOfTheLibraryMayBeNamed(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := call{dir: t.TempDir(), args: []string{"run", "--module", root, "-c", "fmt.Println(ex.Backend())"}}
	c.run(t).expect(t, 0, "processes")
	c.args[2] = t.TempDir()
	c.run(t).expect(t, 1, "--module "+c.args[2], "no folder with the source of rankpool")
}

func TestBuildTagsReachTheProgram(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.go": "package main\nfunc main() { println(word) }\n",
		"yes.go":  "//go:build special\npackage main\nconst word = \"tagged\"\n",
		"no.go":   "//go:build !special\npackage main\nconst word = \"plain\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start("exec", dir).run(t).expect(t, 0, "plain")
	start("exec", "--tags", "special", dir).run(t).expect(t, 0, "tagged")
	c := start("exec", "--tags", "other", dir)
	c.env = []string{"GOFLAGS=-buildvcs=false -tags=special"}
	c.run(t).expect(t, 0, "tagged")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("the program's folder was written to: %v %v", entries, err)
	}
}

func TestMistakesOnTheCommandLineEndWithOneAndTheUsage(t *testing.T) {
	notProgram := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notProgram, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"missing program":   {[]string{"run"}, "no program"},
		"missing command":   {nil, "expected one of"},
		"missing operand m": {[]string{"run", "-m"}, "-m needs an operand"},
		"missing operand c": {[]string{"exec", "-c"}, "-c needs an operand"},
		"empty operand":     {[]string{"run", "-c", ""}, "-c needs statements"},
		"unknown option":    {[]string{"run", "--bogus", greet}, "unknown flag --bogus"},
		"unknown command":   {[]string{"walk", greet}, "unexpected argument walk"},
		"non-existent path": {[]string{"run", "does/not/exist.go"}, "cannot run does/not/exist.go: there is no such file"},
		"no program":        {[]string{"run", notProgram}, "neither a Go file, nor a directory, nor a zip file, nor a program"},
		"an empty name":     {[]string{"run", ""}, "its name is empty"},
		"no time":           {[]string{"run", "--wait", "0s", greet}, "--wait 0s leaves no time"},
		"an option for -m":  {[]string{"run", "-m", "-v"}, "needs the import path of a package"},
		"bad choice":        {[]string{"run", "--mpi", "lam", greet}, "--mpi"},
	} {
		t.Run(name, func(t *testing.T) {
			r := call{args: tt.args}.run(t)
			r.expect(t, 1, tt.want, "Usage: rankpool")
			if r.out != "" {
				t.Errorf("output: %s", r.out)
			}
		})
	}
	t.Run("help", func(t *testing.T) {
		for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"exec", "-h"}, {"build", "--help"}, {"doctor", "--help"}} {
			r := call{args: args}.run(t)
			r.expect(t, 0, "Usage: rankpool")
			if r.errors != "" || r.out == "" {
				t.Errorf("help goes to %q, and %q to the errors", r.out, r.errors)
			}
		}
	})
}

func TestWhatCannotBeBuiltIsToldWithAReason(t *testing.T) {
	library := source(t, "package library\n")
	r := start("run", source(t, "package main\n\nfunc main() { undefinedName() }\n")).run(t)
	r.expect(t, 1, "program.go:3:15: undefined: undefinedName", "rankpool: cannot build ")
	tidied(t, r.folder)
	start("run", library).run(t).expect(t, 1, "its package is not main")
	start("run", filepath.Dir(library)).run(t).expect(t, 1, "its package is not main")
	start("run", "-m", module+"/futures").run(t).expect(t, 1, "its package is not main")
	start("run", "-m", "example.invalid/nothing").run(t).expect(t, 1, "example.invalid/nothing")
	call{args: []string{"run", "-"}, stdin: "package main\n\nfunc main() { x }\n"}.run(t).expect(t, 1, "<stdin>:3:15: undefined: x")
	start("run", "-").run(t).expect(t, 1, "it is empty")

	c := start("run", greet)
	c.env = []string{"PATH=" + t.TempDir()}
	c.run(t).expect(t, 1, "there is no go command on the path of", "install Go")
}

func TestAFolderThatCannotBeWrittenIsNamedWithTheRemedy(t *testing.T) {
	c := start("run", greet)
	c.folder = "/proc/self/nowhere"
	r := c.run(t)
	r.expect(t, 1, "cannot use the folder /proc/self/nowhere", "--dir or RANKPOOL_RUN_DIR")
	readOnly := t.TempDir()
	if err := os.Chmod(readOnly, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may write to a read-only folder")
	}
	start("run", "--dir", readOnly, greet).run(t).expect(t, 1, readOnly, "--dir or RANKPOOL_RUN_DIR")
}

func TestAProgramIsBuiltWithoutAHome(t *testing.T) {
	if me, err := user.Current(); err != nil || me.HomeDir == "" {
		t.Skipf("the user database has no home for this user: %v", err)
	}
	c := start("run", "-c", `fmt.Printf("home %q\n", os.Getenv("HOME"))`)
	c.env = []string{"HOME=", "XDG_CACHE_HOME="}
	c.run(t).expect(t, 0, `home ""`)
	c.env = append(c.env, "TMPDIR=/proc/nowhere")
	c.run(t).expect(t, 1, "cannot use the folder /proc/nowhere for temporary files", "TMPDIR")
}

func TestAMissingHomeIsNamedWhereNothingCanBeBuiltWithoutIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be a user whom the user database does not know")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv, which starts a program as another user, is not on the path: install util-linux")
	}
	stranger, folder := []string{"--reuid=54321", "--regid=54321", "--clear-groups"}, t.TempDir()
	for _, dir := range []string{binaries, filepath.Dir(folder), folder} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(folder, 54321, 54321); err != nil {
		t.Fatal(err)
	}
	c := call{program: setpriv, args: append(stranger, rankpool, "run", "-c", "fmt.Println(1)"), folder: folder, dir: folder,
		env: []string{"HOME=", "XDG_CACHE_HOME=", "GOCACHE=", "GOPATH=", "GOMODCACHE=", "TMPDIR=" + folder}}
	c.run(t).expect(t, 1, "HOME is not set, and the user database has no home for this user", "set HOME, or GOCACHE and GOPATH")
}

func TestAProgramWithoutPermissionIsToldFromWhatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	text, err := os.ReadFile(rankpool)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start("run", path).run(t)
	if r.expect(t, 1, "chmod +x"); strings.Contains(r.errors, "Usage:") {
		t.Errorf("a usage helps nobody here:\n%s", r.errors)
	}
}
