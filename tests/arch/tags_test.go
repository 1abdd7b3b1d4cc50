package arch_test

import (
	"go/build/constraint"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// built is where a program with the tag mpi has MPI: what depends on the tag alone would differ from mpi.Built on other systems, where the
// ranks of a launcher would look for a library that cannot be loaded.
const built = "mpi && linux && (amd64 || arm64)"

func TestWithTheTagMPIAProgramHasMPIOnlyWhereALibraryCanBeLoaded(t *testing.T) {
	checked := 0
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.pkg, "internal/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(f.name)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			expr, err := constraint.Parse(strings.TrimSpace(line))
			if err != nil || !asksFor(expr, "mpi") {
				continue
			}
			checked++
			if s := expr.String(); s != built && s != "!("+built+")" {
				t.Errorf("%s is built where %s: that must be %q or its opposite", f.name, s, built)
			}
		}
	}
	if checked == 0 {
		t.Error("no file depends on the tag mpi")
	}
}

// asksFor tells whether a constraint depends on a tag.
func asksFor(expr constraint.Expr, tag string) (found bool) {
	for _, others := range []bool{false, true} {
		with := expr.Eval(func(t string) bool { return t == tag || others })
		without := expr.Eval(func(t string) bool { return t != tag && others })
		found = found || with != without
	}
	return found
}
