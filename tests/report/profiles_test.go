package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/rankpool/rankpool/internal/profile"
	"github.com/rankpool/rankpool/internal/report"
)

// made is a profile of the processor's time in which functions, the caller behind the called one, have cost so many seconds.
func made(stacks map[string]int64) *pprof.Profile {
	p := &pprof.Profile{
		SampleType: []*pprof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &pprof.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000,
	}
	at := func(name string) *pprof.Location {
		for _, l := range p.Location {
			if l.Line[0].Function.Name == name {
				return l
			}
		}
		f := &pprof.Function{ID: uint64(len(p.Function) + 1), Name: name}
		l := &pprof.Location{ID: f.ID, Line: []pprof.Line{{Function: f}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		return l
	}
	for stack, seconds := range stacks {
		s := &pprof.Sample{Value: []int64{100 * seconds, 1e9 * seconds}}
		for name := range strings.FieldsSeq(stack) {
			s.Location = append(s.Location, at(name))
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func encoded(t *testing.T, p *pprof.Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProfilesAreMergedByRoleAndWhatIsDamagedIsSkipped(t *testing.T) {
	dir := t.TempDir()
	master, worker := encoded(t, made(map[string]int64{"wait main": 2})), encoded(t, made(map[string]int64{"solve step main": 3, "step main": 1}))
	slow := encoded(t, made(map[string]int64{"solve solve main": 5}))
	other := made(map[string]int64{"solve": 9})
	other.SampleType[1].Type = "delay"
	put(t, dir, map[string][]byte{
		"cpu.master.login.10.pb.gz": master, "cpu.worker-0.node1.11.pb.gz": worker, "cpu.worker-rank7.node2.12.pb.gz": slow,
		"cpu.worker-1.node1.13.pb.gz": nil, "cpu.worker-2.node1.14.pb.gz": worker[:len(worker)/2], "cpu.worker-3.node1.15.pb.gz": []byte("no profile"),
		"cpu.worker-9.node1.16.pb.gz": encoded(t, other), "heap.worker-1.node1.13.pb.gz": nil,
		"merged.cpu.worker.pb.gz": slow, "README": nil,
	})
	var skipped []string
	all, err := report.LoadProfiles(dir, func(text string) { skipped = append(skipped, text) })
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Role != "master" || all[1].Role != "worker" || all[0].Processes != 1 || all[1].Processes != 2 {
		t.Fatalf("%+v", all)
	}
	slices.Sort(skipped)
	for i, want := range []string{
		"cpu.worker-1.node1.13.pb.gz: it is empty", "cpu.worker-2.node1.14.pb.gz: it is damaged", "cpu.worker-3.node1.15.pb.gz: it is damaged",
		"cpu.worker-9.node1.16.pb.gz: it has measured something else", "heap.worker-1.node1.13.pb.gz: it is empty",
	} {
		if len(skipped) != 5 || !strings.HasPrefix(skipped[i], want) {
			t.Fatalf("%q", skipped)
		}
	}
	var out, merged bytes.Buffer
	if err := all[1].Text(&out); err != nil {
		t.Fatal(err)
	}
	says(t, out.String(), "worker: time of processors, 9s of 2 processes\n", "  8s  88.9%   8s  88.9%  solve\n", "  1s  11.1%   4s  44.4%  step\n")
	if strings.Contains(out.String(), " main\n") {
		t.Errorf("a function that has cost nothing itself is told of:\n%s", out.String())
	}
	if err := all[1].Write(&merged); err != nil {
		t.Fatal(err)
	}
	p, err := pprof.Parse(&merged)
	if err != nil || all[1].File() != "merged.cpu.worker.pb.gz" {
		t.Fatal(err, all[1].File())
	}
	sum := int64(0)
	for _, s := range p.Sample {
		sum += s.Value[1]
	}
	if sum != 9e9 {
		t.Errorf("merged: %d ns", sum)
	}
}

func TestManyProfilesAreMergedLikeFew(t *testing.T) {
	dir := t.TempDir()
	one := encoded(t, made(map[string]int64{"solve main": 1}))
	files := map[string][]byte{}
	const n = 101
	for i := range n {
		files["cpu.worker-"+strings.Repeat("1", i+1)+".node.1.pb.gz"] = one
	}
	put(t, dir, files)
	all, err := report.LoadProfiles(dir, func(text string) { t.Error(text) })
	if err != nil || len(all) != 1 || all[0].Processes != n {
		t.Fatal(all, err)
	}
	var out strings.Builder
	if err := all[0].Text(&out); err != nil {
		t.Fatal(err)
	}
	says(t, out.String(), "worker: time of processors, 1m41s of 101 processes\n")
}

func TestAFolderWithoutAProfileThatIsWholeIsAnError(t *testing.T) {
	dir := t.TempDir()
	skipped := 0
	skip := func(string) { skipped++ }
	for _, want := range []string{"has no profiles: run the program with " + profile.Variable + "=", "has no profile that is whole"} {
		if _, err := report.LoadProfiles(dir, skip); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		put(t, dir, map[string][]byte{"cpu.worker-1.node1.13.pb.gz": nil})
	}
	if _, err := report.LoadProfiles(filepath.Join(dir, "none"), skip); err == nil || skipped != 1 {
		t.Error(err, skipped)
	}
}
