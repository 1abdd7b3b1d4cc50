//go:build unix

package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestProfilesOfAProgramAreMergedForGoToolPprof(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profiles")
	c := start("run", greet)
	c.env = []string{"RANKPOOL_PROFILE=" + dir}
	c.run(t).expect(t, 0)
	if err := os.WriteFile(filepath.Join(dir, "cpu.worker-9.gone.1.pb.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was merged before is not merged again
		start("report", "--profiles", dir).run(t).expect(t, 0, "rankpool: report: skipped cpu.worker-9.gone.1.pb.gz: it is empty",
			"master: time of processors, ", " of 1 process\n", "worker: allocated, ", " of 2 processes\n", "flat%", "go tool pprof "+dir)
	}
	for _, name := range []string{"cpu.master", "cpu.worker", "heap.master", "heap.worker"} {
		if out, err := exec.Command("go", "tool", "pprof", "-top", filepath.Join(dir, "merged."+name+".pb.gz")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestReportNeedsARecordingOrAFolderOfProfiles(t *testing.T) {
	empty := t.TempDir()
	for want, args := range map[string][]string{
		"report needs a recording, or --profiles DIR": {},
		"--html and --perfetto need a recording":      {"--profiles", empty, "--html", "x.html"},
		"has no profiles: run the program with":       {"--profiles", empty},
		"no such file or directory":                   {"--profiles", filepath.Join(empty, "none")},
	} {
		start(append([]string{"report"}, args...)...).run(t).expect(t, 1, want)
	}
}
