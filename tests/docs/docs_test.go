// Package docs_test holds the documents to what they say: programs in them compile and run, and names in them exist.
package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of go.mod.
var root = filepath.Join("..", "..")

// read returns the text of a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goFiles returns every Go file of the repository, with slashes.
func goFiles(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != root && (base[0] == '.' || base == "testdata" || base == "bin") {
			return filepath.SkipDir
		}
		if rel, err := filepath.Rel(root, name); err != nil {
			return err
		} else if filepath.Ext(name) == ".go" {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("%d Go files under %s: %v", len(names), root, err)
	}
	return names
}

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
	text := read(t, "README.md")
	want := block(t, text, "text")
	main := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(main, []byte(block(t, text, "go")), 0o600); err != nil {
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
	text := read(t, "README.md")
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) == 0 {
		t.Fatal("the README links to nothing")
	}
	for _, l := range links {
		if _, err := os.Stat(filepath.Join(root, l[1])); err != nil {
			t.Error(err)
		}
	}
}
