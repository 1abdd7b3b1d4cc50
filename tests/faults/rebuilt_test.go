//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A program is corrected while its job waits in a queue. What it has recorded goes by the function's name, its version and its types, and not by the
// executable.
func TestAProgramThatWasBuiltAgainHasWhatItsJournalKnowsUnlessTheVersionOrATypeIsAnother(t *testing.T) {
	dir := t.TempDir()
	build := func(name string, flags ...string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		out, err := exec.CommandContext(limited(t), "go", append(append([]string{"build", "-o", path}, flags...), "./testdata/rebuilt")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return path
	}
	first, other := build("first"), build("other", "-tags=othercode", "-ldflags=-s -w")
	version, argument, kind := build("version", "-tags=otherversion"), build("argument", "-tags=otherargument"), build("result", "-tags=otherresult")
	if a, err := os.ReadFile(first); err != nil {
		t.Fatal(err)
	} else if b, err := os.ReadFile(other); err != nil || bytes.Equal(a, b) {
		t.Fatal("the executables are the same", err)
	}
	for _, backend := range []string{"processes", "threads"} {
		t.Run(backend, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			for i, step := range []struct {
				program       string
				sum, recalled int
			}{
				{first, 285, 0}, {first, 285, 10},
				{other, 285, 10}, // its own results would be larger
				{version, 285, 0}, {version, 285, 10},
				{argument, 285, 0},
				{kind, 285, 0}, {kind, 285, 10},
				{first, 285, 10}, // what the others have recorded stands beside it
			} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				cmd := exec.CommandContext(ctx, step.program, path)
				cmd.Env = append(os.Environ(), "RANKPOOL_BACKEND="+backend, "RANKPOOL_MAX_WORKERS=2")
				out, err := cmd.Output()
				cancel()
				if want := fmt.Sprintf("sum %d recalled %d\n", step.sum, step.recalled); err != nil || string(out) != want {
					t.Errorf("step %d, %s: %q (%v), want %q", i, filepath.Base(step.program), out, err, want)
				}
			}
		})
	}
}
