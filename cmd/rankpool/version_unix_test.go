//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rankpool/rankpool/internal/command"
)

func TestTheVersionSaysWhatAReportNeeds(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink("mpiexec.openmpi", filepath.Join(bin, "mpiexec")); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"mpiexec.openmpi": "mpirun (Open MPI) 4.1.4", "mpiexec.mpich": "HYDRA build details:\n    Version: 4.0.2"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		bin: `^rankpool \S.*, built with(out)? MPI
go1\.\S+ \w+/\w+
` + regexp.QuoteMeta(bin) + `/mpiexec: Open MPI, mpirun \(Open MPI\) 4\.1\.4
` + regexp.QuoteMeta(bin) + `/mpiexec\.mpich: MPICH, Hydra 4\.0\.2
$`,
		t.TempDir(): `\nno mpiexec on the path\n$`,
	} {
		t.Setenv("PATH", path+":/bin")
		if _, err := os.Stat("/bin/mpiexec"); err == nil && path != bin {
			continue // and there is no PATH with a shell and without one
		}
		var out, errs bytes.Buffer
		if status := start([]string{"version"}, command.Surroundings{Out: &out, Err: &errs}); status != 0 || errs.Len() > 0 {
			t.Errorf("status %d: %s", status, errs.String())
		}
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("it prints\n%swant\n%s", out.String(), want)
		}
	}
}
