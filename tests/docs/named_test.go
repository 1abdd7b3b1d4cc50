package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestEveryTestThatADocumentNamesIsThere(t *testing.T) {
	for _, document := range []string{"docs/parity.md", "docs/backends.md"} {
		found := testkit.TestNames.FindAllStringSubmatch(read(t, document), -1)
		if len(found) < 50 {
			t.Errorf("%s names %d tests, which is too few", document, len(found))
		}
		for _, f := range found {
			if !tests(t, f[1])[f[2]] {
				t.Errorf("%s names %s of %s, which is not there", document, f[2], f[1])
			}
		}
	}
}

// That the tests do run where the table names them is looked at by package testkit, at the end of a run of tests/behaviour and of
// tests/modes.
func TestEveryCellOfTheBackendsHasATestThatIsNamedForIt(t *testing.T) {
	rows, err := testkit.Backends()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 30 {
		t.Errorf("the table has %d rows, which is too few", len(rows))
	}
	runs := []string{"tests/behaviour", "tests/modes", "tests/faults"}
	for _, row := range rows {
		for i, column := range testkit.Columns {
			named := row.Tests[column]
			if says := row.Cells[i] != "–"; says != (len(named) > 0) {
				t.Errorf("%s: the cell %s says %q, and has the tests %v", row.Behaviour, column, row.Cells[i], named)
			}
			for _, test := range named {
				folder, _, _ := strings.Cut(test, ".")
				if !slices.Contains(runs, folder) || folder == "tests/faults" && i > 1 { // which knows no ranks
					t.Errorf("%s: %s does not run in the column %s", row.Behaviour, test, column)
				}
			}
		}
	}
}

// known is what tests has read.
var known = map[string]map[string]bool{}

// tests returns the tests of a folder, whatever the constraints on their files.
func tests(t *testing.T, folder string) map[string]bool {
	t.Helper()
	if names, ok := known[folder]; ok {
		return names
	}
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	known[folder] = names
	return names
}

// A row is the key of a behaviour in docs/parity.md and means nothing elsewhere.
func TestNoGoFileHasAMarkThatOnlyATableExplains(t *testing.T) {
	mark := regexp.MustCompile(`(?:^|[\s(_"])[A-J][0-9]{2,3}(?:[\s),:"_]|$)`)
	for _, file := range goFiles(t) {
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, filepath.Join(root, file), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range parsed.Comments {
			if m := mark.FindString(c.Text()); m != "" {
				t.Errorf("%s: the comment has the mark %s: say it in words", fset.Position(c.Pos()), strings.TrimSpace(m))
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if m := mark.FindString(n.Name.Name); m != "" {
					t.Errorf("%s: the name %s has the mark %s: say it in words", fset.Position(n.Pos()), n.Name.Name, m)
				}
			case *ast.BasicLit:
				if m := mark.FindString(n.Value); n.Kind == token.STRING && m != "" && strings.HasSuffix(file, "_test.go") {
					t.Errorf("%s: the text has the mark %s: say it in words", fset.Position(n.Pos()), m)
				}
			}
			return true
		})
	}
}
