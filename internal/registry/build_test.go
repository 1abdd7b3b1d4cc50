package registry

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The files themselves are the subject here, hence a test from within.
func TestABuildIsIdentifiedWithAndWithoutABuildID(t *testing.T) {
	id := func(path string) string {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return identify(f)
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "main.go")
	build := func(name, text string, args ...string) string {
		if err := os.WriteFile(src, []byte("package main\nfunc main() { println("+text+") }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", append(append([]string{"build", "-o", out}, args...), src)...)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, msg)
		}
		return id(out)
	}
	a, b := build("a", `"a"`), build("b", `"b"`)
	if !strings.HasPrefix(a, "go:") || len(a) < 20 || a == b {
		t.Errorf("two programs: %q and %q", a, b)
	}
	if again := build("a2", `"a"`); again != a {
		t.Errorf("one program built twice: %q and %q", a, again)
	}
	if stripped := build("c", `"a"`, "-ldflags=-buildid="); !strings.HasPrefix(stripped, "sha256:") {
		t.Errorf("without a build id: %q", stripped)
	}
}

func TestABuildIDInTheTextIsFoundWhereThereIsNoELF(t *testing.T) {
	head := "MZ...\xff Go build ID: \"abc/def\"\n \xff..."
	if got := identify(bytes.NewReader([]byte(head))); got != "go:abc/def" {
		t.Errorf("got %q", got)
	}
	if got := identify(bytes.NewReader([]byte("MZ...\xff Go build ID: \"abc"))); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("a mark without end: %q", got)
	}
}

func BenchmarkIdentify(b *testing.B) {
	for b.Loop() {
		f, err := openSelf()
		if err != nil {
			b.Fatal(err)
		}
		identify(f)
		f.Close()
	}
}
