// Package porting_test keeps the teaching material honest: docs/porting.md shows files that run and print the same,
// names only what there is, and leaves nothing of multiprocessing.pool out; every verb has an example; the programs in
// the package documentation do what they say.
package porting_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// root is the folder of go.mod.
var root = filepath.Join("..", "..")

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run starts a program in the repository's root and returns what it prints. It must succeed and complain about nothing.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = testkit.Limit
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.String() != "" {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	return string(out)
}

// build returns the path of a program that is built once per test.
func build(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program.exe")
	run(t, nil, "go", "build", "-o", path, source)
	return path
}

// python returns an interpreter. The test is skipped, with the reason, where there is none.
func python(t *testing.T) string {
	t.Helper()
	path, err := findPython()
	if err != nil {
		t.Skip(err)
	}
	return path
}

var findPython = sync.OnceValues(func() (string, error) {
	var problems []string
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil { // a pool needs semaphores, which some containers lack
			if err = exec.Command(path, "-c", "import multiprocessing as m; m.Lock()").Run(); err == nil {
				return path, nil
			}
		}
		problems = append(problems, err.Error())
	}
	return "", fmt.Errorf("no Python with multiprocessing (%s): only the Go program runs, against the recorded output",
		strings.Join(problems, "; "))
})

func TestTheDocumentShowsExactlyTheFilesThatRun(t *testing.T) {
	doc := read(t, "docs/porting.md")
	for _, f := range []struct{ language, name string }{
		{"python", "tests/porting/pool.py"},
		{"go", "tests/porting/ported/main.go"},
		{"text", "tests/porting/testdata/output.txt"},
	} {
		want := "\n```" + f.language + "\n" + read(t, f.name) + "```\n"
		if n := strings.Count(doc, want); n != 1 {
			t.Errorf("docs/porting.md shows %s, word for word, %d times; it must be once", f.name, n)
		}
		whole := "\n```" + f.language + "\n"
		if f.language == "go" { // parts of programs are compiled with those of the other pages
			whole = "package main\n"
		}
		if n := strings.Count(doc, whole); n != 1 {
			t.Errorf("docs/porting.md has %d whole %s programs; only the one that is a file runs", n, f.language)
		}
	}
}

func TestEveryFileTheDocumentLinksToIsThere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:"]+)\)`).FindAllStringSubmatch(read(t, "docs/porting.md"), -1)
	if len(links) == 0 {
		t.Fatal("docs/porting.md links to nothing")
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, "docs", filepath.FromSlash(l[1]))); err != nil {
			t.Error(err)
		}
	}
}

func TestTheScriptAndTheProgramPrintTheSame(t *testing.T) {
	recorded := read(t, "tests/porting/testdata/output.txt")
	program := build(t, "./tests/porting/ported")
	printed := map[string]string{}
	for _, backend := range []string{"processes", "threads"} {
		printed[backend] = run(t, []string{"RANKPOOL_BACKEND=" + backend}, program)
		if diff := cmp.Diff(recorded, printed[backend]); diff != "" {
			t.Errorf("the program on %s (-recorded +printed):\n%s", backend, diff)
		}
	}
	t.Run("python", func(t *testing.T) {
		interpreter := python(t)
		script := run(t, nil, interpreter, "tests/porting/pool.py")
		t.Logf("%s", sideBySide(strings.TrimSpace(run(t, nil, interpreter, "--version")), script, "Go", printed["processes"]))
		if diff := cmp.Diff(lines(script), lines(printed["processes"])); diff != "" {
			t.Errorf("(-script +program):\n%s", diff)
		}
	})
}

func lines(s string) []string { return strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }

// sideBySide sets two texts beside each other, line by line, and marks the lines that differ.
func sideBySide(leftTitle, left, rightTitle, right string) string {
	ls, rs := append([]string{leftTitle}, lines(left)...), append([]string{rightTitle}, lines(right)...)
	var b strings.Builder
	for i := range max(len(ls), len(rs)) {
		var l, r string
		if i < len(ls) {
			l = ls[i]
		}
		if i < len(rs) {
			r = rs[i]
		}
		mark := "|"
		if i > 0 && l != r {
			mark = "≠"
		}
		fmt.Fprintf(&b, "\n%-44s %s %s", l, mark, r)
	}
	return b.String()
}
