package porting_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// original is what multiprocessing.pool lets its users call, with all parameters.
var original = map[string][]string{
	"Pool":                   {"processes", "initializer", "initargs", "maxtasksperchild", "context"},
	"ThreadPool":             {"processes", "initializer", "initargs"},
	"Pool.apply":             {"func", "args", "kwds"},
	"Pool.apply_async":       {"func", "args", "kwds", "callback", "error_callback"},
	"Pool.map":               {"func", "iterable", "chunksize"},
	"Pool.map_async":         {"func", "iterable", "chunksize", "callback", "error_callback"},
	"Pool.imap":              {"func", "iterable", "chunksize"},
	"Pool.imap_unordered":    {"func", "iterable", "chunksize"},
	"Pool.starmap":           {"func", "iterable", "chunksize"},
	"Pool.starmap_async":     {"func", "iterable", "chunksize", "callback", "error_callback"},
	"Pool.close":             {},
	"Pool.terminate":         {},
	"Pool.join":              {},
	"AsyncResult.get":        {"timeout"},
	"AsyncResult.wait":       {"timeout"},
	"AsyncResult.ready":      {},
	"AsyncResult.successful": {},
	"IMapIterator.next":      {"timeout"},
}

// inspect has Python list the same.
const inspect = `
import inspect, json, multiprocessing.pool as m
def names(f): return [p for p in inspect.signature(f).parameters if p != "self"]
found = {"Pool": names(m.Pool), "ThreadPool": names(m.ThreadPool)}
for c in m.Pool, m.AsyncResult, m.IMapIterator:
    for n, f in inspect.getmembers(c, callable):
        if n[0] != "_" and n != "Process":
            found[("AsyncResult" if c is m.AsyncResult else c.__name__) + "." + n] = names(f)
print(json.dumps(found))
`

func TestTheOriginalHasNoOtherNames(t *testing.T) {
	var found map[string][]string
	if err := json.Unmarshal([]byte(run(t, nil, python(t), "-c", inspect)), &found); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(original, found); diff != "" {
		t.Errorf("multiprocessing.pool (-as known here +as Python says):\n%s", diff)
	}
}

// tables is the part of the document that lists names.
func tables(t *testing.T) (rows []string) {
	t.Helper()
	_, text, ok := strings.Cut(read(t, "docs/porting.md"), "\n## Every name\n")
	if !ok {
		t.Fatal("docs/porting.md has no chapter with every name")
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	return rows
}

func TestEveryNameOfTheOriginalHasARow(t *testing.T) {
	rows := tables(t)
	for name, parameters := range original {
		_, method, isMethod := strings.Cut(name, ".")
		call := method + "("
		if !isMethod {
			call = name + "("
		}
		find := func(word string) bool {
			pattern := regexp.MustCompile(`\b` + regexp.QuoteMeta(word))
			return slices.ContainsFunc(rows, func(row string) bool {
				left, _, _ := strings.Cut(row[2:], " | ")
				return pattern.MatchString(left)
			})
		}
		if !find(call) {
			t.Errorf("no row of docs/porting.md has %s on its left", name)
		}
		for _, p := range parameters {
			if !find(p) {
				t.Errorf("no row of docs/porting.md has the parameter %s of %s on its left", p, name)
			}
		}
	}
}

// exported returns the exported names of a package, those of methods as Type.Method.
func exported(t *testing.T, pkg string) (names []string) {
	t.Helper()
	for _, f := range sources(t, pkg, false) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = receiver(d) + "." + name
				}
				if d.Name.IsExported() && ast.IsExported(name) {
					names = append(names, name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() {
							names = append(names, s.Name.Name)
						}
					case *ast.ValueSpec:
						for _, n := range s.Names {
							if n.IsExported() {
								names = append(names, n.Name)
							}
						}
					}
				}
			}
		}
	}
	return names
}

func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// sources parses the files of a package, or its tests.
func sources(t *testing.T, pkg string, tests bool) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal(pkg, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestTheDocumentNamesOnlyWhatThereIs(t *testing.T) {
	doc := read(t, "docs/porting.md")
	known := map[string][]string{}
	for _, pkg := range []string{"pool", "threadpool", "futures"} {
		known[pkg] = exported(t, pkg)
	}
	var methods []string
	for _, pkg := range []string{"pool", "asyncresult"} {
		for _, n := range exported(t, pkg) {
			if _, method, ok := strings.Cut(n, "."); ok {
				methods = append(methods, method)
			}
		}
	}
	used := regexp.MustCompile(`\b(pool|threadpool|futures)\.([A-Z]\w*)`).FindAllStringSubmatch(doc, -1)
	if len(used) < 50 {
		t.Fatalf("docs/porting.md has %d names of the library, which is too few", len(used))
	}
	for _, u := range used {
		if !slices.Contains(known[u[1]], u[2]) {
			t.Errorf("docs/porting.md names %s, which is not there", u[0])
		}
	}
	for _, u := range regexp.MustCompile("`(?:ok, err := |y, err := )?[pr]\\.([A-Z]\\w*)\\(").FindAllStringSubmatch(doc, -1) {
		if !slices.Contains(methods, u[1]) {
			t.Errorf("docs/porting.md calls %s, which neither a pool nor a result has", u[0])
		}
	}
}

func TestTheDocumentHasEveryNameOfPackagePool(t *testing.T) {
	doc := strings.Join(tables(t), "")
	for _, name := range exported(t, "pool") {
		want := "pool." + name
		if _, method, ok := strings.Cut(name, "."); ok {
			want = "p." + method + "("
		}
		switch name {
		case "Pool.Executor", "Option", "MapOption", "ImapOption", "TaskOption", "Pool", "Body": // a porter meets these later
			continue
		}
		if !strings.Contains(doc, want) {
			t.Errorf("no row of docs/porting.md has %s", want)
		}
	}
}
