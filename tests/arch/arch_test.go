// Package arch_test enforces the layers of the repository: imports point down.
//
// It reads the import clauses of every Go file, whatever its build constraints, so that a file for another system or
// behind a tag cannot evade it.
package arch_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rankpool/rankpool"

// layers says what each part of the repository may import of it. A name ending in /... is a folder with all below it;
// the longest name that fits a package is its part. Every part may import itself.
var layers = map[string][]string{
	"internal/pkl5":         {},
	"internal/fresh":        {},
	"internal/futex":        {},
	"internal/hostmem":      {"internal/fresh"},
	"internal/memlimit":     {},
	"internal/saturate":     {},
	"internal/settings":     {},
	"internal/status":       {},
	"internal/screen":       {},
	"internal/progress":     {"internal/awake", "internal/saturate", "internal/screen"},
	"internal/awake":        {},
	"internal/goid":         {},
	"internal/lane":         {"internal/goid"},
	"internal/lines":        {"internal/screen"},
	"internal/logs":         {"internal/screen"},
	"internal/profile":      {},
	"internal/life":         {"internal/dispatch", "internal/everyrank", "internal/lane", "internal/logs", "internal/job", "internal/mpi", "internal/link", "internal/link/proc", "internal/link/slots", "internal/profile", "internal/registry", "internal/settings", "internal/status"},
	"internal/job":          {"internal/awake", "internal/logs", "internal/profile", "internal/lane", "internal/mpi", "internal/link", "internal/link/mpilink", "internal/dispatch", "internal/lines"},
	"internal/owndir":       {},
	"internal/mpi":          {"internal/fresh", "internal/mpi/abi", "internal/mpi/clib", "internal/mpi/find"},
	"internal/mpi/abi":      {},
	"internal/mpi/clib":     {},
	"internal/mpi/find":     {"internal/mpi/abi"},
	"internal/mpi/mpitest":  {},
	"internal/testkit":      {},
	"internal/registry":     {"internal/pkl5"},
	"internal/remote":       {"internal/pkl5"},
	"internal/resultlog":    {},
	"internal/trace":        {},
	"internal/link":         {},
	"internal/link/...":     {"internal/link", "internal/fresh", "internal/futex", "internal/hostmem", "internal/lines", "internal/memlimit"},
	"internal/link/mpilink": {"internal/awake", "internal/link", "internal/owndir", "internal/fresh", "internal/memlimit", "internal/futex", "internal/saturate", "internal/mpi"},

	// What tells programs of package spmd from others. The second imports nothing else, see there.
	"internal/everyrank":      {},
	"internal/everyrank/mark": {"internal/everyrank"},

	// The scheduler knows the seam and none of the groups behind it.
	"internal/dispatch": {"internal/trace", "internal/link", "internal/lane", "internal/pkl5", "internal/registry", "internal/remote", "internal/awake", "internal/goid"},

	// What the command does is no part of the library.
	"internal/command": {"internal/mpi"},
	"internal/marked":  {},
	"internal/findmpi": {"internal/marked", "internal/mpi"},
	"internal/gobuild": {"internal/owndir"},
	"internal/report":  {"internal/profile", "internal/trace"},
	"internal/launch":  {"internal/command", "internal/findmpi", "internal/gobuild", "internal/owndir", "internal/mpi", "internal/link/mpilink"},
	"internal/doctor":  {"internal/command", "internal/findmpi", "internal/gobuild", "internal/marked", "internal/owndir", "internal/mpi", "internal/saturate"},
	"internal/bench": {"bench/ours", "bench/peers", "internal/command", "internal/dispatch", "internal/findmpi", "internal/gobuild", "internal/launch",
		"internal/link", "internal/link/mpilink", "internal/link/simlink", "internal/marked", "internal/owndir", "internal/mpi", "internal/saturate"},

	"comm":        {"internal/..."},
	"journal":     {"internal/..."},
	"mpicomm":     {"comm", "internal/..."},
	"futures":     {"comm", "journal", "internal/..."},
	"monitor":     {"internal/..."},
	"spmd":        {"futures", "internal/..."},
	"asyncresult": {"futures", "internal/..."},
	"pool":        {"asyncresult", "futures", "internal/..."},
	"threadpool":  {"pool", "asyncresult", "futures", "internal/..."},

	// Programs use what users use.
	"cmd/...":       {"bench/ours", "internal/..."},
	"bench/...":     {"futures", "asyncresult", "pool", "threadpool"},
	"bench/watched": {"bench/ours", "futures", "monitor"},
	"examples/...":  {"comm", "journal", "monitor", "mpicomm", "futures", "spmd", "asyncresult", "pool", "threadpool"},
	"tests/...":     {"comm", "journal", "monitor", "mpicomm", "futures", "spmd", "asyncresult", "pool", "threadpool", "internal/..."},
	"tools/...":     {},
}

// testOnly are the packages that only tests and other such packages import; they alone may import testing.
var testOnly = []string{"internal/link/linktest", "internal/mpi/mpitest", "internal/testkit", "tests/..."}

// commandOnly are the packages of the command: a program that uses the library links none of them.
var commandOnly = []string{
	"internal/bench", "internal/command", "internal/doctor", "internal/findmpi", "internal/gobuild", "internal/launch", "internal/marked",
}

// folders are the top-level ones. Adding one is a decision about the shape of the repository: make it here.
var folders = []string{
	"asyncresult", "bench", "build", "cmd", "comm", "docs", "examples", "futures", "internal", "journal", "monitor", "mpicomm", "pool", "spmd", "tests", "threadpool", "tools",
}

// A file is a Go file with what it imports.
type file struct {
	name    string // relative to the root, with slashes
	pkg     string // its folder
	clause  string // its package clause
	test    bool
	imports []string
}

func fits(pkg, pattern string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == folder || strings.HasPrefix(pkg, folder+"/")
	}
	return pkg == pattern
}

func fitsAny(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(pkg, p) })
}

// part returns the name in layers that a package belongs to.
func part(pkg string) (name string, ok bool) {
	for p := range layers {
		if fits(pkg, p) && (!ok || len(strings.TrimSuffix(p, "/...")) > len(strings.TrimSuffix(name, "/..."))) {
			name, ok = p, true
		}
		if p == pkg {
			return p, true
		}
	}
	return name, ok
}

// verdict says why one file must not import one package, or nothing.
func verdict(f file, imported string) string {
	switch {
	case imported == "C":
		return "there is no C in this module, so that it builds without a C compiler"
	case strings.HasPrefix(imported, "github.com/ebitengine/purego") && f.pkg != "internal/mpi/clib":
		return "only internal/mpi/clib loads libraries, so that a program without MPI is static and starts no C"
	case imported == module+"/internal/mpi/clib" && !strings.HasPrefix(f.name, "internal/mpi/loaded") && f.pkg != "internal/mpi/clib" && !f.test:
		return "only the files of internal/mpi whose names begin with loaded import it, so that a program without MPI is static"
	case strings.HasPrefix(imported, "github.com/emer/empi") && f.pkg != "mpicomm" && !f.test:
		return "only mpicomm imports empi, so that other programs do not link it"
	case (imported == "testing" || strings.HasPrefix(imported, "testing/")) && !f.test && !fitsAny(f.pkg, testOnly):
		return "only tests import testing: it registers flags in the user's program"
	case imported == module:
		return "the module's root is not a package"
	}
	target, ok := strings.CutPrefix(imported, module+"/")
	if !ok || target == f.pkg {
		return ""
	}
	own, ok := part(f.pkg)
	if !ok {
		return "its package has no place in the layers: give it one in tests/arch"
	}
	if fitsAny(target, testOnly) {
		if f.test || fitsAny(f.pkg, testOnly) {
			return ""
		}
		return "only tests import it"
	}
	if f.test && fits(own, "internal/...") && fits(target, "internal/link/...") && target != "internal/link/mpilink" {
		return "" // a test may put a real group under what it tests
	}
	if fitsAny(target, commandOnly) && !fitsAny(f.pkg, append([]string{"cmd/..."}, commandOnly...)) {
		return "only the command imports it"
	}
	if !fitsAny(target, layers[own]) {
		return "imports point down: " + own + " may import " + strings.Join(layers[own], ", ")
	}
	return ""
}

// root returns the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the go.mod of %s", dir, module)
	}
	return dir
}

// files returns every Go file of the repository.
func files(t *testing.T) []file {
	t.Helper()
	dir := root(t)
	var all []file
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != dir && (base == "testdata" || base[0] == '.' || base[0] == '_') {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := file{name: rel, pkg: path.Dir(rel), clause: parsed.Name.Name, test: strings.HasSuffix(rel, "_test.go")}
		for _, s := range parsed.Imports {
			imported, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no Go file under %s", dir)
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range files(t) {
		for _, imported := range f.imports {
			if why := verdict(f, imported); why != "" {
				t.Errorf("%s imports %s: %s", f.name, imported, why)
			}
		}
	}
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	for _, f := range files(t) {
		top, _, _ := strings.Cut(f.pkg, "/")
		if !slices.Contains(folders, top) {
			t.Errorf("%s: %q is not one of the top-level folders %q", f.name, top, folders)
			continue
		}
		if _, ok := part(f.pkg); !ok {
			t.Errorf("%s: package %s has no place in the layers: give it one in tests/arch", f.name, f.pkg)
		}
		if f.clause == "main" && !slices.Contains([]string{"bench", "cmd", "examples", "tests", "tools"}, top) {
			t.Errorf("%s: a program belongs into bench, cmd, examples, tests or tools", f.name)
		}
	}
}

// The library must not bring testing into a program through a dependency either.
func TestNothingTheLibraryDependsOnIsTesting(t *testing.T) {
	packages := map[string]bool{}
	for _, f := range files(t) {
		if top, _, _ := strings.Cut(f.pkg, "/"); !f.test && !fitsAny(f.pkg, testOnly) &&
			slices.Contains([]string{"futures", "asyncresult", "pool", "threadpool", "internal"}, top) {
			packages["./"+f.pkg] = true
		}
	}
	cmd := exec.Command("go", append([]string{"list", "-e", "-deps"}, slices.Sorted(maps.Keys(packages))...)...)
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/internal/link") {
		t.Fatalf("go list does not know internal/link:\n%s", out)
	}
	for _, dep := range deps {
		if dep == "testing" || strings.HasPrefix(dep, "testing/") {
			t.Errorf("the library depends on %s; see: go list -deps ./futures", dep)
		}
	}
}

// The rules themselves, on imports that must and must not pass.
func TestTheRulesTellUpFromDown(t *testing.T) {
	for _, tt := range []struct {
		name, imported string
		allowed        bool
	}{
		{"futures/executor.go", "context", true},
		{"futures/executor.go", module + "/internal/dispatch", true},
		{"futures/processes.go", module + "/internal/link/proc", true},
		{"futures/comm.go", module + "/internal/mpi", true},
		{"futures/executor.go", module + "/pool", false},
		{"futures/executor.go", "testing", false},
		{"futures/executor.go", "testing/fstest", false},
		{"futures/executor_test.go", "testing", true},
		{"pool/pool.go", module + "/asyncresult", true},
		{"asyncresult/result.go", module + "/pool", false},
		{"threadpool/threadpool.go", module + "/pool", true},
		{"pool/pool.go", module + "/threadpool", false},
		{"internal/dispatch/master.go", module + "/internal/link", true},
		{"internal/dispatch/master.go", module + "/internal/link/proc", false},
		{"internal/dispatch/master_test.go", module + "/internal/link/loopback", true},
		{"internal/dispatch/master.go", module + "/futures", false},
		{"internal/dispatch/master_test.go", module + "/futures", false},
		{"internal/pkl5/plan.go", module + "/internal/mpi", false},
		{"internal/pkl5/plan.go", module + "/internal/registry", false},
		{"internal/registry/registry.go", module + "/internal/pkl5", true},
		{"internal/link/proc/proc.go", module + "/internal/link", true},
		{"internal/link/proc/proc.go", module + "/internal/mpi", false},
		{"internal/link/proc/proc.go", module + "/internal/link/linktest", false},
		{"internal/link/proc/proc_test.go", module + "/internal/link/linktest", true},
		{"internal/link/linktest/suite.go", "testing", true},
		{"internal/link/link.go", module + "/internal/link/proc", false},
		{"internal/link/mpilink/group.go", module + "/internal/mpi", true},
		{"internal/mpi/comm.go", "C", false},
		{"internal/mpi/clib/clib.go", "github.com/ebitengine/purego", true},
		{"internal/mpi/loaded_port.go", module + "/internal/mpi/clib", true},
		{"internal/mpi/loaded_port.go", "github.com/ebitengine/purego", false},
		{"internal/mpi/env.go", module + "/internal/mpi/clib", false},
		{"internal/job/run.go", module + "/internal/mpi/clib", false},
		{"mpicomm/workers.go", "github.com/emer/empi/mpi", true},
		{"internal/mpi/mpitest/mpitest.go", "C", false},
		{"futures/comm.go", "C", false},
		{"examples/cpi/main.go", "github.com/emer/empi/mpi", false},
		{"examples/julia/main.go", module + "/futures", true},
		{"examples/julia/main.go", module + "/internal/dispatch", false},
		{"cmd/rankpool/hidden.go", module + "/bench/ours", true},
		{"cmd/rankpool/main.go", module + "/internal/launch", true},
		{"internal/bench/work.go", module + "/bench/ours", true},
		{"internal/bench/work.go", module + "/bench/extra/plot", false},
		{"internal/launch/start.go", module + "/internal/doctor", false},
		{"futures/executor.go", module + "/internal/launch", false},
		{"tests/behaviour/start_test.go", module + "/internal/gobuild", false},
		{"bench/ours/ours.go", module + "/futures", true},
		{"bench/ours/ours.go", module + "/internal/dispatch", false},
		{"futures/executor.go", module + "/bench/ours", false},
		{"internal/new/new.go", module + "/internal/link", false},
		{"futures/executor.go", module, false},
		{"futures/executor.go", module + "/tests/behaviour", false},
	} {
		f := file{name: tt.name, pkg: path.Dir(tt.name), test: strings.HasSuffix(tt.name, "_test.go")}
		if why := verdict(f, tt.imported); (why == "") != tt.allowed {
			t.Errorf("%s imports %s: allowed must be %v; the verdict is %q", tt.name, tt.imported, tt.allowed, why)
		}
	}
}
