package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// What the scheduler wants of its group and of its log leaves after its lock was released: a Send makes system calls, and a log
// handler or a decoder is the user's code. post.go is the one place that does it. The functions named here hold no lock.
func TestTheSchedulerCallsNobodyUnderItsLock(t *testing.T) {
	withoutLock := map[string]bool{
		"New": true, "unlock": true, "carryOut": true, "tellAttender": true, "recall": true, // post.go and the constructor
		"open": true, "close": true, // goroutines of their own, before and after the workers
		"examine": true, "tell": true, "deliver": true, "tellAside": true, "refused": true, "hearFarewell": true, // what is delivered, and decoded
	}
	guarded := []string{"group", "cfg.Log", "cfg.Check", "cfg.Aside", "cfg.DecodeError", "cfg.DecodeSetupError", "cfg.DecodeLeaveError", "attender", "recaller"}
	files, err := filepath.Glob("../../internal/dispatch/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no files of the scheduler:", err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !ofMaster(fn) {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				path := selector(call.Fun)
				for _, g := range guarded {
					if path != "m."+g && !strings.HasPrefix(path, "m."+g+".") {
						continue
					}
					if seen++; !withoutLock[fn.Name.Name] {
						t.Errorf("%s: %s is called in %s, which may hold the scheduler's lock: use send, kill, order, remark or Aside",
							set.Position(call.Pos()), path, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
	if seen == 0 {
		t.Error("no call was found: does this test still know the scheduler's words?")
	}
}

func ofMaster(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return false
	}
	star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	id, ok := star.X.(*ast.Ident)
	return ok && id.Name == "Master"
}

// selector writes a chain of selectors: m.cfg.Log.Warn.
func selector(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return selector(e.X) + "." + e.Sel.Name
	}
	return ""
}
