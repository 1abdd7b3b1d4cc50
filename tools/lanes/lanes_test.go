package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const makefile = `
good: ; @echo good; printf 'm/a\tTestX\tneeds root\nm/b\tTestY\tneeds root\n' >>$(LANE_NOTES)
bad: ; @echo bad; exit 3
absent: ; @printf '\tall\tno mpiexec\n' >>$(LANE_NOTES)
part: ; @printf '\tpart\tno Slurm\n' >>$(LANE_NOTES)
first second: ; @echo $@ >>order
close: ; @echo $@ >>order
last: ; @echo 'ok  	m/a	0.1s'
`

func lanes(t *testing.T, jobs int, alone []string, names ...string) (output string, ok bool) {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Makefile", []byte(makefile), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ok, err := run(&out, names, alone, jobs)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), ok
}

func TestTheTableSaysWhatRanWhatDidNotAndWhyAndTheLastLaneEndsTheOutput(t *testing.T) {
	t.Setenv("MAKEFLAGS", "-j4 --jobserver-auth=3,4")
	out, ok := lanes(t, 2, []string{"part"}, "good", "absent", "part", "last")
	if !ok {
		t.Error("no lane has failed")
	}
	for _, want := range []string{
		"good    ok ", "absent  not run ", "part    in part ", "  good: a.TestX and 1 more: needs root\n", "  absent: NOT RUN: no mpiexec\n", "  part: NOT RUN: no Slurm\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if !strings.HasSuffix(out, "\n== lane last\nok  \tm/a\t0.1s\n") {
		t.Errorf("the output ends otherwise:\n%s", out)
	}
}

func TestALaneThatFailsIsShownAndFailsAll(t *testing.T) {
	out, ok := lanes(t, 2, nil, "bad", "last")
	if ok || !strings.Contains(out, "bad   FAILED ") || !strings.Contains(out, "== lane bad\nbad\n") {
		t.Errorf("ok %v:\n%s", ok, out)
	}
	if _, err := os.Stat(filepath.Join(folder, "bad.log")); err != nil {
		t.Error(err)
	}
}

func TestTheLastLaneBeginsFirst(t *testing.T) {
	for _, alone := range []string{"", "second"} {
		t.Run("alone: "+alone, func(t *testing.T) {
			if out, ok := lanes(t, 1, []string{alone}, "first", "second", "close"); !ok || !strings.HasSuffix(out, "\n== lane close\n") {
				t.Errorf("ok %v:\n%s", ok, out)
			}
			want := "close first second"
			if alone != "" {
				want = "second close first"
			}
			if order, err := os.ReadFile("order"); err != nil || strings.Join(strings.Fields(string(order)), " ") != want {
				t.Errorf("%q, %v, want %q", order, err, want)
			}
		})
	}
}
