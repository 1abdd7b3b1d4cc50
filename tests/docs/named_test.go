package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testNames are the tests that documents name, as `folder.TestName`.
var testNames = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")

func TestEveryTestThatADocumentNamesIsThere(t *testing.T) {
	for _, document := range []string{"docs/parity.md", "docs/backends.md"} {
		found := testNames.FindAllStringSubmatch(read(t, document), -1)
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

// Each cell of the table has a test: most tests of tests/behaviour run on every backend; another test stands for ranks where they do not.
func TestEveryRowOfTheBackendsHasTestsForGoroutinesProcessesAndRanks(t *testing.T) {
	rows := 0
	for line := range strings.Lines(read(t, "docs/backends.md")) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) < 2 || strings.HasPrefix(cells[0], "behaviour") {
			continue
		}
		rows++
		if len(cells) != 6 {
			t.Errorf("%d cells, want 6: %s", len(cells), line)
			continue
		}
		suite, here, ranks := false, false, false
		for _, m := range testNames.FindAllStringSubmatch(cells[5], -1) {
			suite = suite || m[1] == "tests/behaviour" && !leavesRanksOut(t, m[2])
			here = here || m[1] == "tests/behaviour" || m[1] == "tests/faults" || m[1] == "futures" || m[1] == "tests/modes" // which starts programs here too
			ranks = ranks || m[1] == "tests/modes"
		}
		if !suite && !(here && ranks) {
			t.Errorf("no test on every backend: %s", line)
		}
	}
	if rows < 30 {
		t.Errorf("the table has %d rows, which is too few", rows)
	}
}

// leavesRanksOut tells whether a test of tests/behaviour does not run on ranks: the list of the suite has it, it starts itself again,
// or it skips ranks by itself.
func leavesRanksOut(t *testing.T, name string) bool {
	t.Helper()
	if strings.Contains(read(t, "tests/behaviour/ranks_test.go"), `"`+name+`"`) {
		return true
	}
	files, err := filepath.Glob(filepath.Join(root, "tests", "behaviour", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text := read(t, "tests/behaviour/"+filepath.Base(file))
		if _, body, found := strings.Cut(text, "\nfunc "+name+"("); found {
			body, _, _ = strings.Cut(body, "\n}\n")
			return rankless.MatchString(body)
		}
	}
	t.Errorf("tests/behaviour has no %s", name)
	return true
}

// rankless is what the body of a test has that does not run on ranks.
var rankless = regexp.MustCompile(`\b(?:itself|runProgram|startProgram)\(t\b|t\.Skip\(".*\branks?\b.*"\)|New(?:Process|Thread)PoolExecutor\(`)

func TestTestsThatLeaveRanksOutAreTold(t *testing.T) {
	for name, want := range map[string]bool{
		"TestAfterAWaitingShutdownNoWorkerIsLeft":                            true,  // of the list
		"TestAForgottenExecutorFinishesItsQueueBeforeTheProgramEnds":         true,  // starts itself
		"TestALostWorkerCostsOneElementOfAChunkHoweverLargeTheResults":       true,  // skips ranks
		"TestErrorsKeepTheirIdentityAcrossProcesses":                         false, // as most
		"TestATaskOnAGoroutineThatExitsEndsTheProgramAndOneInAProcessItself": true,
	} {
		if got := leavesRanksOut(t, name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
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
