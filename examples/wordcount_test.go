package examples_test

import (
	"cmp"
	"fmt"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/scanner"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/testkit"
)

// referenceCount is what wordcount is to print about a directory, counted in one goroutine and with another scanner
// than the program's: text/scanner takes keywords and the i of an imaginary number for identifiers, nothing else.
func referenceCount(t *testing.T, dir string, top int) (output string, files int) {
	t.Helper()
	count := map[string]int{}
	identifiers, bytes := 0, 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		files++
		bytes += len(source)
		var s scanner.Scanner
		s.Init(strings.NewReader(string(source)))
		s.Mode = scanner.GoTokens
		s.Error = func(*scanner.Scanner, string) {}
		number := -1 // where the last number ended
		for tok := s.Scan(); tok != scanner.EOF; tok = s.Scan() {
			switch name := s.TokenText(); {
			case tok == scanner.Int || tok == scanner.Float:
				number = s.Pos().Offset
			case tok == scanner.Ident && !token.IsKeyword(name) && s.Position.Offset != number:
				identifiers++
				count[name]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	var b strings.Builder
	for _, name := range names[:min(top, len(names))] {
		fmt.Fprintf(&b, "%9d %s\n", count[name], name)
	}
	fmt.Fprintf(&b, "%d identifiers, %d distinct, in %d files of %d bytes\n", identifiers, len(count), files, bytes)
	return b.String(), files
}

// compareCounts runs wordcount on every backend and compares it with the reference.
func compareCounts(t *testing.T, dir string, batch, top int, args ...string) {
	t.Helper()
	want, files := referenceCount(t, dir, top)
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := succeed(t, b, start{example: "wordcount", args: args})
		got := checkReport(t, b, o, (files+batch-1)/batch)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// sources returns the sources of the Go installation.
func sources(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src")
}

func TestWordcountSeesIdentifiersOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(name, source string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", "package a // a comment with words\n\nvar größe, _ = \"a string\", `raw a` /* a */\n")
	write("deep/er/b.go", "package a\n\nfunc größe(a int) rune { return 'a' }\n")
	write("deep/broken.go", "package \x00 if ) a \"unterminated\ngröße 0x # ?")
	write("empty.go", "")
	write("bom.go", "\ufeffpackage bom\n")
	write("notes.txt", "a a a a")
	write("directory.go/inside.go", "package inside")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	compareCounts(t, dir, 2, 2, "-batch", "2", "-top", "2", link)

	got, _ := referenceCount(t, dir, 2)
	if want := "        4 a\n        3 größe\n12 identifiers, 7 distinct, in 6 files of 205 bytes\n"; got != want {
		t.Errorf("the reference counts %q, want %q", got, want)
	}
}

func TestWordcountEqualsTheSequentialCount(t *testing.T) {
	dir := filepath.Join(sources(t), "net")
	compareCounts(t, dir, 64, 20, dir)
}

// Large tests run in the lane without the race detector, see the Makefile.
func TestLargeWordcountOfTheGoSourcesEqualsTheSequentialCount(t *testing.T) {
	if testkit.Race {
		t.Skip("scans 90 MB three times: runs in the lane without -race")
	}
	compareCounts(t, sources(t), 64, 20)
}
