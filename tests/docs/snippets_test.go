package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

const module = "github.com/rankpool/rankpool"

// public are the packages that programs import.
var public = []string{"asyncresult", "comm", "futures", "journal", "monitor", "mpicomm", "pool", "spmd", "threadpool"}

// standard are the packages of the standard library that documents use.
var standard = []string{
	"bufio", "cmp", "context", "database/sql", "encoding/json", "errors", "flag", "fmt", "io", "iter", "log", "log/slog", "maps", "math",
	"math/rand/v2", "net/http", "os", "os/exec", "os/signal", "path/filepath", "runtime", "slices", "sort", "strconv", "strings", "sync",
	"syscall", "testing", "time",
}

// taken are the names that a document may use without saying what they are.
const taken = `
type X struct{ N int }
type Y struct{ N int }

var (
	ctx     context.Context
	m       *testing.M
	n       int
	x       X
	xs      []X
	pairs   []futures.Pair[X, X]
	setUp   = futures.Register("setUp", func(X) (Y, error) { return Y{}, nil })
	f       = futures.Register("f", func(X) (Y, error) { return Y{}, nil })
	g       = futures.Register("g", futures.Spread(func(X, X) (Y, error) { return Y{}, nil }))
	ex      *futures.MPIPoolExecutor
	threads *futures.ThreadPoolExecutor
	fs      []*futures.Future[Y]
	p       *pool.Pool
	cb      func(Y)
	run     func(context.Context) error
)
`

// documents returns the documents of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	names := []string{"README.md"}
	for _, f := range files {
		names = append(names, "docs/"+filepath.Base(f))
	}
	return names
}

// exports are the compiled packages that a snippet may use, by their paths.
var exports = sync.OnceValues(func() (map[string]string, error) {
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, standard...)
	for _, p := range public {
		args = append(args, "./"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[name] = file
	}
	return files, err
})

// A checker checks Go text as the compiler does.
type checker struct {
	fset *token.FileSet
	imp  types.Importer
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	files, err := exports()
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	return &checker{fset, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		b, err := os.ReadFile(files[path])
		return io.NopCloser(bytes.NewReader(b)), err
	})}
}

// snippet says why text is no program, no declarations and no statements, or nothing. In a line of a table names need no use.
func (c *checker) snippet(text string, line bool) error {
	if _, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly); err == nil {
		return c.file(text, line)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution); err == nil {
		return c.needing(text, line)
	}
	return c.needing("func _() {\n"+text+"\n}\n", line)
}

// needing checks declarations that have no imports.
func (c *checker) needing(text string, line bool) error {
	own, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	all := text + taken
	declared := map[string]bool{}
	for _, d := range own.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			declared[d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						declared[name.Name] = true
					}
				}
			}
		}
	}
	for name := range declared { // what the text declares itself is not taken for granted
		all = text + regexp.MustCompile(`(?m)^\t`+name+`\s+.*\n`).ReplaceAllString(strings.TrimPrefix(all, text), "")
	}
	imports := ""
	for _, p := range standard {
		if name := strings.TrimSuffix(p, "/v2"); regexp.MustCompile(`\b` + path.Base(name) + `\.`).MatchString(all) {
			imports += fmt.Sprintf("import %q\n", p)
		}
	}
	for _, p := range public {
		if regexp.MustCompile(`\b` + p + `\.[A-Z]`).MatchString(all) {
			imports += fmt.Sprintf("import %q\n", module+"/"+p)
		}
	}
	return c.file("package p\n"+imports+all, line)
}

func (c *checker) file(text string, line bool) error {
	parsed, err := parser.ParseFile(c.fset, "snippet", text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	var first error
	conf := types.Config{Importer: c.imp, Error: func(err error) {
		var e types.Error
		if e, _ = err.(types.Error); first == nil && (!line || !e.Soft) {
			first = err
		}
	}}
	_, _ = conf.Check("snippet", c.fset, []*ast.File{parsed}, nil)
	return first
}

func TestEveryGoBlockOfTheDocumentsCompiles(t *testing.T) {
	c := newChecker(t)
	n := 0
	for _, name := range documents(t) {
		for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, name), -1) {
			n++
			if err := c.snippet(m[1], false); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, m[1])
			}
		}
	}
	if n < 3 {
		t.Errorf("the documents have %d Go blocks, which is too few", n)
	}
}

// The table of what is written in Python and what in Go.
func TestEveryLineOfTheTableForPythonCompiles(t *testing.T) {
	c := newChecker(t)
	_, table, _ := strings.Cut(read(t, "docs/porting.md"), "| in Python you write | in Go you write |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if len(rows) < 10 {
		t.Fatalf("the table has %d rows, which is too few", len(rows))
	}
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		var lines []string
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(cells[len(cells)-1], -1) {
			text := strings.ReplaceAll(m[1], "{ … }", `{ panic("…") }`)
			if strings.HasSuffix(text, "{") {
				text += "}"
			}
			lines = append(lines, text)
		}
		if err := c.snippet(strings.Join(lines, "\n"), true); err != nil {
			t.Errorf("%s: %v", row, err)
		}
	}
}

func TestTheCheckOfSnippetsFindsMistakes(t *testing.T) {
	c := newChecker(t)
	for _, text := range []string{
		"package main\n\nfunc main() { undefined() }\n", "futures.Main(run, futures.NoSuchOption())", "func f( {", "unused := 1",
		"var h = futures.Register(\"h\", 5)",
	} {
		if c.snippet(text, false) == nil {
			t.Errorf("%q passes", text)
		}
	}
	for _, text := range []string{"package main\n\nfunc main() {}\n", "futures.Main(run)", "var f = 5", "time.Sleep(time.Duration(n))"} {
		if err := c.snippet(text, false); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// names returns what a package exports: its names, and those of methods and fields behind a dot.
func (c *checker) names(t *testing.T, pkg string) (names, members []string) {
	t.Helper()
	p, err := c.imp.Import(module + "/" + pkg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range p.Scope().Names() {
		obj := p.Scope().Lookup(name)
		if !obj.Exported() {
			continue
		}
		names = append(names, name)
		t, ok := obj.(*types.TypeName)
		if !ok {
			continue
		}
		for m := range types.NewMethodSet(types.NewPointer(t.Type())).Methods() {
			members = append(members, m.Obj().Name())
		}
		switch u := t.Type().Underlying().(type) {
		case *types.Interface:
			for m := range u.Methods() {
				members = append(members, m.Name())
			}
		case *types.Struct:
			for f := range u.Fields() {
				members = append(members, f.Name())
			}
		}
	}
	return names, members
}

func TestDocumentsNameOnlyWhatThePackagesExport(t *testing.T) {
	c := newChecker(t)
	qualified := regexp.MustCompile(`\b(` + strings.Join(public, "|") + `)\.([A-Z]\w*)`)
	known := map[string][]string{}
	var anywhere []string
	for _, p := range public {
		names, members := c.names(t, p)
		known[p] = names
		anywhere = append(append(anywhere, names...), members...)
	}
	used := 0
	for _, name := range documents(t) {
		for _, m := range qualified.FindAllStringSubmatch(testkit.TestNames.ReplaceAllString(read(t, name), ""), -1) {
			used++
			if !slices.Contains(known[m[1]], m[2]) {
				t.Errorf("%s names %s, which is not there", name, m[0])
			}
		}
	}
	if used < 50 {
		t.Errorf("the documents use %d names, which is too few", used)
	}
	// The right columns of the tables of names leave the package out.
	text, _, _ := strings.Cut(read(t, "docs/parity.md"), "\n## Where we differ on purpose\n")
	used = 0
	for row := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(row, "| \n"), " | ")
		if len(cells) != 2 {
			continue
		}
		for _, span := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(cells[1], -1) {
			for _, name := range regexp.MustCompile(`\b[A-Z]\w*[a-z]\w*`).FindAllString(span[1], -1) {
				used++
				if !slices.Contains(anywhere, name) && !slices.Contains([]string{"Seq", "Seq2", "DeadlineExceeded"}, name) {
					t.Errorf("docs/parity.md names %s, which is not there: %s", name, span[1])
				}
			}
		}
	}
	if used < 100 {
		t.Errorf("docs/parity.md uses %d names, which is too few", used)
	}
}
