package porting_test

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryVerbHasAnExampleThatIsRun(t *testing.T) {
	for _, pkg := range []string{"pool", "threadpool", "asyncresult"} {
		run := map[string]bool{}
		for _, e := range doc.Examples(sources(t, pkg, true)...) {
			name := e.Name
			if i := strings.LastIndexByte(name, '_'); i >= 0 && !ast.IsExported(name[i+1:]) {
				name = name[:i] // one of several examples for a name
			}
			run[name] = run[name] || e.Output != "" || e.EmptyOutput
		}
		for _, name := range functions(t, pkg) {
			if !run[strings.ReplaceAll(name, ".", "_")] {
				t.Errorf("%s.%s has no example with output", pkg, name)
			}
		}
	}
}

// functions returns the exported functions and methods of a package.
func functions(t *testing.T, pkg string) (names []string) {
	t.Helper()
	for _, f := range sources(t, pkg, false) {
		for _, d := range f.Decls {
			d, ok := d.(*ast.FuncDecl)
			switch {
			case !ok || !d.Name.IsExported():
			case d.Recv == nil:
				names = append(names, d.Name.Name)
			case ast.IsExported(receiver(d)):
				names = append(names, receiver(d)+"."+d.Name.Name)
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("package %s exports no function", pkg)
	}
	return names
}

func TestTheProgramInThePackageDocumentationRuns(t *testing.T) {
	three := filepath.Join(t.TempDir(), "three")
	if err := os.WriteFile(three, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pkg  string
		args []string
		want string
	}{
		{"pool", nil, "[1 4 9]\n"},
		{"asyncresult", nil, "squares: [1 4 9]\n"},
		{"threadpool", []string{three, three}, "3\n3\n"},
	} {
		t.Run(tt.pkg, func(t *testing.T) {
			source := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(source, []byte(programOf(t, tt.pkg)), 0o600); err != nil {
				t.Fatal(err)
			}
			program := build(t, source) // a file outside of any module is built within this one
			if got := run(t, nil, program, tt.args...); got != tt.want {
				t.Errorf("it prints %q, want %q", got, tt.want)
			}
		})
	}
}

// programOf returns the program in a package's documentation.
func programOf(t *testing.T, pkg string) string {
	t.Helper()
	for _, f := range sources(t, pkg, false) {
		for _, block := range new(comment.Parser).Parse(f.Doc.Text()).Content {
			if c, ok := block.(*comment.Code); ok && strings.HasPrefix(c.Text, "package main\n") {
				return c.Text
			}
		}
	}
	t.Fatalf("the documentation of package %s has no program", pkg)
	return ""
}
