package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// private are variables that rankpool sets for its own processes or that only its tests and benchmarks read.
var private = regexp.MustCompile(`^RANKPOOL_(BENCH|TEST|PROC_TEST|EXT)_|^RANKPOOL_(KILLS|MARK|OPENMPI|MPICH)$|_$`)

// variables returns the environment variables that programs read, from the strings of the code.
func variables(t *testing.T) []string {
	t.Helper()
	name := regexp.MustCompile(`^RANKPOOL_[A-Z0-9_]+$`)
	found := map[string]bool{}
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") || !regexp.MustCompile(`^(cmd|comm|futures|internal|journal|monitor|mpicomm|pool|spmd|threadpool)/`).MatchString(file) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(file)), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil && name.MatchString(s) && !private.MatchString(s) {
					found[s] = true
				}
			}
			return true
		})
	}
	var all []string
	for s := range found {
		all = append(all, s)
	}
	slices.Sort(all)
	if len(all) < 15 {
		t.Fatalf("the code has %d variables, which is too few: %v", len(all), all)
	}
	return all
}

func TestThePageOfVariablesHasThoseOfTheCodeAndNoOthers(t *testing.T) {
	page := read(t, "docs/environment.md")
	code := variables(t)
	for _, v := range code {
		if !strings.Contains(page, "`"+v+"`") {
			t.Errorf("docs/environment.md lacks %s", v)
		}
	}
	for _, m := range regexp.MustCompile("`(RANKPOOL_[A-Z0-9_]*[A-Z0-9])`").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(code, m[1]) && !strings.HasPrefix(m[1], "RANKPOOL_RUN_") && m[1] != "RANKPOOL_SERVE_BIND" {
			t.Errorf("docs/environment.md has %s, which no code reads", m[1])
		}
	}
}
