// Package readme_test does what the README says, word for word.
package readme_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block returns the first fenced block of a language.
func block(t *testing.T, text, language string) string {
	t.Helper()
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the README has no %s block", language)
	}
	return m[1]
}

func TestTheProgramOfTheReadmePrintsWhatTheReadmeSays(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := block(t, string(text), "text")
	main := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(main, []byte(block(t, string(text), "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	for backend, printed := range map[string]string{
		"auto":    want,
		"threads": strings.Replace(want, "processes", "threads", 1),
	} {
		cmd := exec.CommandContext(t.Context(), "go", "run", main)
		cmd.Dir = root // a file outside of any module is built within this one
		cmd.Env = append(os.Environ(), "RANKPOOL_BACKEND="+backend)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", backend, err)
		}
		if string(out) != printed {
			t.Errorf("%s: the program printed %q, the README says %q", backend, out, printed)
		}
	}
}

func TestEveryFileTheReadmeLinksToIsThere(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1)
	if len(links) == 0 {
		t.Fatal("the README links to nothing")
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, l[1])); err != nil {
			t.Error(err)
		}
	}
}
