package launch

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeclarationsAreToldFromStatements(t *testing.T) {
	type kinds struct{ Imports, Declarations, Body []string }
	for text, want := range map[string]kinds{
		`fmt.Println(1)`:                           {Body: []string{"fmt.Println(1)"}},
		`a(); b()` + "\n" + `c()`:                  {Body: []string{"a(); b()\nc()"}},
		`for i := 0; i < 3; i++ { }`:               {Body: []string{"for i := 0; i < 3; i++ { }"}},
		`if x := f(); x { a() } else { b() }; c()`: {Body: []string{"if x := f(); x { a() } else { b() }; c()"}},
		`import "a/b"; b.C()`:                      {Imports: []string{`import "a/b"`}, Body: []string{"b.C()"}},
		"import (\n\"a\"\n\"b\"\n)\na.B()":         {Imports: []string{"import (\n\"a\"\n\"b\"\n)"}, Body: []string{"a.B()"}},
		`a(); var f = g(func() { h(); i() }); b()`: {Declarations: []string{"var f = g(func() { h(); i() })"}, Body: []string{"a();", "b()"}},
		`func f() int { return 1 }; func() { f() }()`: {
			Declarations: []string{"func f() int { return 1 }"}, Body: []string{"func() { f() }()"},
		},
		`type T struct{ a int }; const c = 1; x := T{c}; _ = x`: {
			Declarations: []string{"type T struct{ a int }", "const c = 1"}, Body: []string{"x := T{c}; _ = x"},
		},
		`{ var local int; _ = local }`: {Body: []string{"{ var local int; _ = local }"}},
		``:                             {},
	} {
		all := cut(text)
		var got kinds
		for _, p := range all.imports {
			got.Imports = append(got.Imports, p.text)
		}
		for _, p := range all.declarations {
			got.Declarations = append(got.Declarations, p.text)
		}
		for _, p := range all.body {
			got.Body = append(got.Body, p.text)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s:\n%s", text, d)
		}
	}
}

func TestEachPieceKnowsItsPlace(t *testing.T) {
	all := cut("a()\nvar x = 1; b()\n  c()")
	got := []string{all.declarations[0].positioned(), all.body[0].positioned(), all.body[1].positioned()}
	want := []string{"/*line -c:2:1*/var x = 1", "/*line -c:1:1*/a()", "/*line -c:2:12*/b()\n  c()"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStatementsBecomeAProgramThatParses(t *testing.T) {
	for _, workers := range []bool{true, false} {
		program := wrap(`import "math/rand"; fmt.Println(rand.Int(), strings.ToUpper("x")); path := os.Args; _ = path`, workers)
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", program, parser.ImportsOnly)
		if err != nil {
			t.Fatalf("%v in\n%s", err, program)
		}
		imports := map[string]int{}
		for _, spec := range f.Imports {
			imports[strings.Trim(spec.Path.Value, `"`)]++
		}
		for _, want := range []string{"math/rand", "fmt", "strings", "os"} {
			if imports[want] != 1 {
				t.Errorf("%q is imported %d times in\n%s", want, imports[want], program)
			}
		}
		for _, no := range []string{"math/rand/v2", "path"} {
			if imports[no] != 0 {
				t.Errorf("%q is imported in\n%s", no, program)
			}
		}
	}
}
