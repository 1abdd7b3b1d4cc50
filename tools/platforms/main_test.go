package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// module makes a module in a new folder, and has the test run in it.
func module(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	files["go.mod"] = "module m\n\ngo 1.25\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const program = "package main\n\nimport (\n\t\"fmt\"\n\n\t\"m/a\"\n)\n\nfunc main() { fmt.Println(a.A()) }\n"

var home = platform{runtime.GOOS, runtime.GOARCH}

func TestAModuleThatIsRightPassesOnEveryPlatform(t *testing.T) {
	module(t, map[string]string{
		"main.go": program,
		"a/a.go":  "package a\n\nfunc A() int { return 1 }\n",
		// Both kinds of tests, one of which is imported by the way of the package that it tests.
		"a/in_test.go":  "package a\n\nvar secret = A()\n",
		"a/out_test.go": "package a_test\n\nimport (\n\t\"testing\"\n\n\t\"m/a\"\n)\n\nfunc TestA(t *testing.T) { t.Log(a.A()) }\n",
	})
	c := newChecker()
	for _, name := range []string{"linux/386", "windows/amd64"} {
		if err := check(c, home, name, "", false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongOnOnePlatformIsFoundThere(t *testing.T) {
	const right = "package a\n\nfunc A() int { return 1 }\n"
	for what, test := range map[string]struct {
		file, text, want string
	}{
		"a file of another system":   {"a/b_windows.go", "package a\n\nfunc B() int { return C() }\n", "b_windows.go:3:23: undefined: C"},
		"a test of another system":   {"a/b_windows_test.go", "package a_test\n\nimport \"m/a\"\n\nvar B = a.B\n", "undefined: a.B"},
		"a test within the package":  {"a/b_windows_test.go", "package a\n\nfunc f() { x := 1 }\n", "declared and not used: x"},
		"the tag mpi":                {"a/b.go", "//go:build mpi && windows\n\npackage a\n\nimport \"os\"\n", `with the tags "mpi": `},
		"the word of another system": {"a/b.go", "package a\n\nconst B uintptr = 1 << 40\n", "overflows"},
		"a syntax":                   {"a/b_windows.go", "package a\n\nfunc {\n", "b_windows.go:3:6"},
		"a package that is not":      {"a/b_windows.go", "package a\n\nimport _ \"m/nowhere\"\n", "go list"},
	} {
		t.Run(what, func(t *testing.T) {
			module(t, map[string]string{"main.go": program, "a/a.go": right, test.file: test.text})
			c := newChecker()
			if err := check(c, home, "linux/amd64", "", false); err != nil {
				t.Errorf("linux/amd64: %v", err)
			}
			other := "windows/amd64"
			if test.want == "overflows" {
				other = "linux/386"
			}
			if err := check(c, home, other, "", false); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", other, err, test.want)
			}
		})
	}
}

func TestVetLooksAtTheFilesThatAreNotThisMachines(t *testing.T) {
	module(t, map[string]string{
		"main.go": program, "a/a.go": "package a\n\nfunc A() int { return 1 }\n",
		"b/b.go":        "package b\n\nfunc B() {}\n",
		"b/b_plan9.go":  "package b\n\nfunc C(x int) { x = x }\n",
		"c/c_plan9.go":  "package c\n",
		"c/c_normal.go": "package c\n",
	})
	other := platform{"plan9", "386"}
	if others, err := otherFiles(home, other); err != nil || strings.Join(others, " ") != "m/b m/c" {
		t.Errorf("%q, %v", others, err)
	}
	if err := check(newChecker(), home, "plan9/386", "", true); err == nil || !strings.Contains(err.Error(), "go vet") {
		t.Errorf("%v, want what go vet says of x = x", err)
	}
}

func TestAProgramIsLinked(t *testing.T) {
	module(t, map[string]string{"main.go": program + "\nfunc body()\n", "a/a.go": "package a\n\nfunc A() int { return 1 }\n"})
	if err := check(newChecker(), home, "linux/amd64", ".", false); err == nil || !strings.Contains(err.Error(), "build") {
		t.Errorf("%v, want what the compiler says of a function without a body", err)
	}
}
