//go:build unix

package modes_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/report"
)

const profiled = "github.com/rankpool/rankpool/tests/modes/testdata/profiled"

// profiles are what RANKPOOL_PROFILE has made a program write.
type profiles struct {
	dir     string
	skipped []string
	all     []*report.Profile
}

func (o outcome) profiles(t *testing.T) (p profiles) {
	t.Helper()
	p.dir = filepath.Join(o.dir, "profiles")
	var err error
	if p.all, err = report.LoadProfiles(p.dir, func(text string) { p.skipped = append(p.skipped, text) }); err != nil {
		t.Fatal(err, o.output)
	}
	return p
}

// files are those that begin so.
func (p profiles) files(t *testing.T, begin string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(p.dir, begin+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	return names
}

// of returns the merged profile of a role, nil if there is none, and of how many processes it is.
func (p profiles) of(t *testing.T, kind, role string) (merged *pprof.Profile, processes int) {
	t.Helper()
	i := slices.IndexFunc(p.all, func(p *report.Profile) bool { return p.Kind == kind && p.Role == role })
	if i < 0 {
		return nil, 0
	}
	var b bytes.Buffer
	if err := p.all[i].Write(&b); err != nil {
		t.Fatal(err)
	}
	merged, err := pprof.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	return merged, p.all[i].Processes
}

// has tells whether a function is in a profile.
func has(p *pprof.Profile, function string) bool {
	return p != nil && slices.ContainsFunc(p.Function, func(f *pprof.Function) bool { return f.Name == function })
}

func TestProfilesOfMasterAndWorkersAreWholeHoweverTheProgramEnds(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		ways := []string{"close", "open", "tests", "fail"}
		if m.ranks == 0 || library != "openmpi" { // whose mpiexec kills a second after its signals, so a signal leaves less time than a busy machine may need
			ways = append(ways, "term", "int")
		}
		for _, how := range ways {
			o := m.run(t, profiled, []string{how}, "RANKPOOL_PROFILE=profiles", "RANKPOOL_LOG=error")
			p := o.profiles(t)
			workers := m.workers
			if m.name == threads.name {
				workers = 0
			}
			for _, kind := range []string{"cpu", "heap"} {
				_, masters := p.of(t, kind, "master")
				_, others := p.of(t, kind, "worker")
				if masters != 1 || others != workers || len(p.skipped) > 0 {
					t.Errorf("%s: %s: %d masters and %d workers have written, want %d; skipped %q:\n%s", how, kind, masters, others, workers, p.skipped, o.output)
				}
			}
			master, _ := p.of(t, "cpu", "master")
			worker, _ := p.of(t, "cpu", "worker")
			if !has(master, "main.burnMaster") || has(master, "main.burnWorker") != (workers == 0) ||
				workers > 0 && (!has(worker, "main.burnWorker") || has(worker, "main.burnMaster")) {
				t.Errorf("%s: the master's profile: %v\nthe workers': %v\n%s", how, master, worker, o.output)
			}
			if strings.Contains(o.output, "rankpool: warning: no profiles") {
				t.Errorf("%s:\n%s", how, o.output)
			}
		}
	})
}

// The process that was killed leaves its files empty, and the one in its place has files of its own.
func TestAKilledWorkerCostsItsProfileAlone(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		if m.name == threads.name {
			t.Skip("it would be the master that is killed")
		}
		program, args, left := profiled, []string{"kill"}, m.workers
		if m.reports == "mpi" {
			m.options = []string{mpitest.Leave[library]}
			program, args = m.staying(t, profiled, args)
			left-- // a rank is not replaced
		}
		o := m.run(t, program, args, "RANKPOOL_PROFILE=profiles", "RANKPOOL_LOG=error")
		o.contains(t, "lost: true")
		p := o.profiles(t)
		_, masters := p.of(t, "cpu", "master")
		_, workers := p.of(t, "cpu", "worker")
		if masters != 1 || workers != left || len(p.skipped) != 2 { // its profiles of the processor and of the heap
			t.Errorf("%d masters and %d workers have written, want %d; skipped %q:\n%s", masters, workers, left, p.skipped, o.output)
		}
		for _, s := range p.skipped {
			if !strings.Contains(s, "it is empty") {
				t.Error(s)
			}
		}
	})
}

func TestTheSlotsOfAProcessAreInOneProfile(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		if m.name == threads.name {
			t.Skip("goroutines have no slots")
		}
		o := m.succeed(t, profiled, []string{"close"}, "RANKPOOL_PROFILE=profiles", "RANKPOOL_SLOTS=2")
		p := o.profiles(t)
		files := p.files(t, "cpu.worker-")
		name := regexp.MustCompile(`^cpu\.worker-(0-1|2-3)\.[\w-]+\.\d+\.pb\.gz$`)
		if m.reports == "mpi" {
			name = regexp.MustCompile(`^cpu\.worker-rank\d+\.[\w-]+\.\d+\.pb\.gz$`)
		}
		if len(files) != 2 || slices.ContainsFunc(files, func(f string) bool { return !name.MatchString(f) }) {
			t.Errorf("%q:\n%s", files, o.output)
		}
		if worker, n := p.of(t, "cpu", "worker"); n != len(files) || !has(worker, "main.burnWorker") {
			t.Errorf("%d workers have written: %v\n%s", n, worker, o.output)
		}
	})
}

func TestEveryRankOfAProgramThatRunsOnAllIsProfiled(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, everywhere, []string{"roots"}, "RANKPOOL_PROFILE=profiles")
	p := o.profiles(t)
	for rank := range 3 {
		if files := p.files(t, fmt.Sprintf("cpu.rank-%d.", rank)); len(files) != 1 {
			t.Errorf("rank %d: %q", rank, files)
		}
	}
	if _, ranks := p.of(t, "cpu", "rank"); ranks != 3 || len(p.skipped) > 0 {
		t.Errorf("%d ranks, skipped %q:\n%s", ranks, p.skipped, o.output)
	}
}

// There can be one CPU profile at a time: the one that the program has begun is whole, and the others are of the heap.
func TestAProfileOfTheProgramsOwnComesBeforeThatOfTheVariable(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, profiling, []string{"cpu.out"}, "RANKPOOL_PROFILE=profiles")
		if n := strings.Count(o.output, "the program takes a CPU profile itself"); n != 1 {
			t.Errorf("it is said %d times:\n%s", n, o.output)
		}
		out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", filepath.Join(o.dir, "cpu.out")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "main.burnHere") {
			t.Errorf("%v\n%s\nthe program:\n%s", err, out, o.output)
		}
		o.leavesTheHeap(t)
		if m.name != processes.name {
			return
		}
		o = m.succeed(t, profiled, []string{"tests", "-test.cpuprofile=cpu.out"}, "RANKPOOL_PROFILE=profiles") // which begins behind TestMain
		if n := strings.Count(o.output, "the program takes a CPU profile itself"); n != 1 {
			t.Errorf("of tests it is said %d times:\n%s", n, o.output)
		}
		if files := o.profiles(t).files(t, "cpu.master."); len(files) > 0 {
			t.Errorf("of tests: %q", files)
		}
	})
}

// leavesTheHeap checks that there are profiles of the heap alone.
func (o outcome) leavesTheHeap(t *testing.T) {
	t.Helper()
	p := o.profiles(t)
	if files := p.files(t, "cpu."); len(files) > 0 || len(p.files(t, "heap.master.")) != 1 {
		t.Errorf("%q:\n%s", files, o.output)
	}
}

func TestAFolderThatCannotBeWrittenIsSaidOnceAndCostsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	onEvery(t, func(t *testing.T, m mode) {
		for _, dir := range []string{file, filepath.Join(file, "below")} {
			o := m.succeed(t, profiled, []string{"close"}, "RANKPOOL_PROFILE="+dir)
			if n := strings.Count(o.output, "rankpool: warning: "); n != 1 || !strings.Contains(o.output, "no profiles are written: RANKPOOL_PROFILE="+dir+": not a directory") {
				t.Errorf("%s: %d warnings:\n%s", dir, n, o.output)
			}
		}
	})
}
