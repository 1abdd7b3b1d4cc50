package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// pkg is a package as go list describes it; see go help list.
type pkg struct {
	ImportPath, Dir, Name              string
	Standard                           bool
	GoFiles, TestGoFiles, XTestGoFiles []string
	SFiles                             []string
	ImportMap                          map[string]string
	Module                             *struct {
		Main      bool
		GoVersion string
	}
}

// own tells whether p is one of the packages that are checked.
func (p *pkg) own() bool { return p.Module != nil && p.Module.Main }

// files are those of the package and of its tests.
func (p *pkg) files() (paths []string) {
	for _, names := range [][]string{p.GoFiles, p.TestGoFiles, p.XTestGoFiles, p.SFiles} {
		for _, n := range names {
			paths = append(paths, filepath.Join(p.Dir, n))
		}
	}
	return paths
}

// list returns the packages of the module in the working directory; and, if they are to be checked, those of their tests and all that
// they import, each behind what it imports.
func list(p platform, tags string, whole bool) (all []*pkg, err error) {
	args := []string{"list", "-json=ImportPath,Dir,Name,Standard,GoFiles,TestGoFiles,XTestGoFiles,SFiles,ImportMap,Module", "-tags", tags}
	if whole {
		args = append(args, "-deps", "-test")
	}
	cmd := p.command(append(args, "./...")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for packages := json.NewDecoder(out); err == nil; {
		k := new(pkg)
		if err = packages.Decode(k); err == nil {
			all = append(all, k)
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if ended := cmd.Wait(); ended != nil {
		return nil, fmt.Errorf("go list: %w", ended)
	}
	if err != io.EOF {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return all, nil
}

// checker checks types, and keeps what it has parsed for the next platform.
type checker struct {
	set    *token.FileSet
	parsed sync.Map // path → func() (*ast.File, error)
}

func newChecker() *checker { return &checker{set: token.NewFileSet()} }

// file parses a file once. Of one that is not the module's own it keeps the declarations.
func (c *checker) file(path string, own bool) (*ast.File, error) {
	once, _ := c.parsed.LoadOrStore(path, sync.OnceValues(func() (*ast.File, error) {
		f, err := parser.ParseFile(c.set, path, nil, parser.SkipObjectResolution)
		if err == nil && !own {
			for _, d := range f.Decls {
				if d, is := d.(*ast.FuncDecl); is {
					d.Body = nil
				}
			}
		}
		return f, err
	}))
	return once.(func() (*ast.File, error))()
}

// types checks the module, and returns the number of its packages, those of tests among them.
func (c *checker) types(p platform, tags string) (checked int, err error) {
	all, err := list(p, tags, true)
	if err != nil {
		return 0, err
	}
	c.parse(all)
	var wrong []error
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, k := range all {
		if k.ImportPath == "unsafe" || strings.HasSuffix(k.ImportPath, ".test") { // the main packages that go test generates
			continue
		}
		var files []*ast.File
		for _, name := range k.GoFiles {
			f, err := c.file(filepath.Join(k.Dir, name), k.own())
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			files = append(files, f)
		}
		conf := types.Config{
			Importer: importer{k.ImportMap, done}, Sizes: types.SizesFor("gc", p.processor), IgnoreFuncBodies: !k.own(), FakeImportC: true,
			Error: func(err error) {
				if k.own() { // what others have wrong is in go list, or comes of what this cannot read
					wrong = append(wrong, err)
				}
			},
		}
		if k.Module != nil && k.Module.GoVersion != "" {
			conf.GoVersion = "go" + k.Module.GoVersion
		}
		path, _, _ := strings.Cut(k.ImportPath, " ") // behind it may be for which test the package is
		done[k.ImportPath], _ = conf.Check(path, c.set, files, nil)
		if k.own() {
			checked++
		}
	}
	if checked == 0 {
		wrong = append(wrong, errors.New("there are no packages"))
	}
	return checked, errors.Join(wrong...)
}

// parse parses on all processors.
func (c *checker) parse(all []*pkg) {
	var running sync.WaitGroup
	next := make(chan *pkg)
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for k := range next {
				for _, name := range k.GoFiles {
					_, _ = c.file(filepath.Join(k.Dir, name), k.own()) // an error comes again
				}
			}
		})
	}
	for _, k := range all {
		next <- k
	}
	close(next)
	running.Wait()
}

// importer finds what was checked before.
type importer struct {
	renamed map[string]string
	done    map[string]*types.Package
}

func (i importer) Import(path string) (*types.Package, error) {
	if to := i.renamed[path]; to != "" {
		path = to
	}
	if p := i.done[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s was not listed before what imports it", path)
}
