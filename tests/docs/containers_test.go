//go:build linux

package docs_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// uncommented is a text without its first lines that are comments.
func uncommented(text string) string {
	for strings.HasPrefix(text, "#") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

func TestThePageOfContainersShowsTheFilesOfTheExample(t *testing.T) {
	page := read(t, "docs/containers.md")
	for file, language := range map[string]string{"Dockerfile": "dockerfile", "julia.def": "text def"} {
		if got, want := block(t, page, language), uncommented(read(t, "examples/container/"+file)); got != want {
			t.Errorf("the page has\n%s\nand the file %s\n%s", got, file, want)
		}
	}
}

func TestTheContainersOfThePageBuildAndRun(t *testing.T) {
	if os.Getenv("RANKPOOL_TEST_CONTAINERS") == "" {
		t.Skip("RANKPOOL_TEST_CONTAINERS is not set: fetches images and builds one")
	}
	if _, err := exec.LookPath("docker"); err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	out := r.types(t, "cd ../rankpool\n"+block(t, read(t, "docs/containers.md"), "sh"), false)
	for _, want := range []string{"backend processes, ", "backend mpi, workers 2, tasks 960"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
