package arch_test

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// public are the packages that programs import.
var public = []string{"asyncresult", "comm", "futures", "journal", "monitor", "mpicomm", "pool", "spmd", "threadpool"}

// exports imports the public packages, and what they import, as the compiler has left them.
func exports(t *testing.T) types.Importer {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}
	for _, p := range public {
		args = append(args, "./"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[name] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		b, err := os.ReadFile(exports[path])
		return io.NopCloser(bytes.NewReader(b)), err
	})
}

// loaded returns the public packages as the compiler sees them.
func loaded(t *testing.T) []*types.Package {
	t.Helper()
	imp := exports(t)
	var all []*types.Package
	for _, p := range public {
		pkg, err := imp.Import(module + "/" + p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pkg)
	}
	return all
}

// walk goes over what a package exports.
type walk struct {
	report func(format string, args ...any)
	seen   map[types.Type]bool
}

// Users cannot name a type of an internal package, and go doc does not show it.
func TestNoInternalTypeIsExported(t *testing.T) {
	for _, pkg := range loaded(t) {
		for _, name := range pkg.Scope().Names() {
			if obj := pkg.Scope().Lookup(name); obj.Exported() {
				w := walk{seen: map[types.Type]bool{}, report: func(format string, args ...any) {
					t.Errorf("%s.%s: %s", pkg.Name(), name, fmt.Sprintf(format, args...))
				}}
				w.object(obj)
			}
		}
	}
}

// object looks at everything that a user sees of an exported name.
func (w *walk) object(obj types.Object) {
	name, ok := obj.(*types.TypeName)
	if !ok {
		w.typ(obj.Type())
		return
	}
	if name.IsAlias() {
		w.typ(types.Unalias(obj.Type()))
		return
	}
	named := obj.Type().(*types.Named)
	w.params(named.TypeParams())
	w.typ(named.Underlying())
	set := types.NewMethodSet(types.NewPointer(named))
	if types.IsInterface(named) {
		return
	}
	for i := range set.Len() {
		m := set.At(i)
		if !m.Obj().Exported() {
			continue
		}
		w.typ(m.Type())
		if len(m.Index()) > 1 {
			w.report("its method %s is that of an embedded type: go doc does not show it", m.Obj().Name())
		}
	}
}

func (w *walk) params(list *types.TypeParamList) {
	for i := range list.Len() {
		w.typ(list.At(i).Constraint())
	}
}

// typ looks at a type that a user sees. What is behind a name of another package or of this one is looked at under that name.
func (w *walk) typ(t types.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	switch t := t.(type) {
	case *types.Alias:
		w.name(t.Obj())
		w.args(t.TypeArgs())
		w.typ(types.Unalias(t))
	case *types.Named:
		w.name(t.Obj())
		w.args(t.TypeArgs())
	case *types.Pointer:
		w.typ(t.Elem())
	case *types.Slice:
		w.typ(t.Elem())
	case *types.Array:
		w.typ(t.Elem())
	case *types.Chan:
		w.typ(t.Elem())
	case *types.Map:
		w.typ(t.Key())
		w.typ(t.Elem())
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				w.typ(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if m.Exported() {
				w.typ(m.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			w.typ(e)
		}
	case *types.Union:
		for term := range t.Terms() {
			w.typ(term.Type())
		}
	case *types.Signature:
		w.params(t.TypeParams())
		for _, list := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range list.Variables() {
				w.typ(v.Type())
			}
		}
	}
}

func (w *walk) args(list *types.TypeList) {
	for i := range list.Len() {
		w.typ(list.At(i))
	}
}

func (w *walk) name(n *types.TypeName) {
	if n.Pkg() != nil && strings.Contains("/"+n.Pkg().Path()+"/", "/internal/") {
		w.report("%s.%s is of an internal package", n.Pkg().Path(), n.Name())
	}
}

// The walk itself, on a package that it must refuse.
func TestTheWalkFindsInternalTypes(t *testing.T) {
	hidden := types.NewPackage(module+"/internal/hidden", "hidden")
	secret := types.NewNamed(types.NewTypeName(0, hidden, "Secret", nil), types.NewStruct(nil, nil), nil)
	pkg := types.NewPackage(module+"/open", "open")
	param := func(t types.Type) *types.Tuple { return types.NewTuple(types.NewVar(0, pkg, "", t)) }
	method := types.NewFunc(0, pkg, "Do", types.NewSignatureType(nil, nil, nil, param(types.NewPointer(secret)), nil, false))
	embedded := types.NewNamed(types.NewTypeName(0, pkg, "core", nil), types.NewStruct(nil, nil), nil)
	embedded.AddMethod(types.NewFunc(0, pkg, "Done", types.NewSignatureType(types.NewVar(0, pkg, "c", embedded), nil, nil, nil, nil, false)))
	outer := types.NewTypeName(0, pkg, "Outer", nil)
	types.NewNamed(outer, types.NewStruct([]*types.Var{types.NewField(0, pkg, "core", embedded, true)}, nil), nil)
	for what, obj := range map[string]types.Object{
		"an alias":           types.NewTypeName(0, pkg, "A", types.NewAlias(types.NewTypeName(0, pkg, "A", nil), secret)),
		"a function":         types.NewFunc(0, pkg, "F", types.NewSignatureType(nil, nil, nil, nil, param(types.NewSlice(secret)), false)),
		"a variable":         types.NewVar(0, pkg, "V", types.NewMap(types.Typ[types.Int], secret)),
		"an interface":       types.NewVar(0, pkg, "I", types.NewInterfaceType([]*types.Func{method}, nil).Complete()),
		"an embedded method": outer,
	} {
		found := false
		w := walk{seen: map[types.Type]bool{}, report: func(string, ...any) { found = true }}
		w.object(obj)
		if !found {
			t.Errorf("%s passes", what)
		}
	}
}

// A program that does not hand MPI's communicators to empi does not link it, with the tag mpi neither.
func TestOnlyMpicommBringsEmpiIntoAProgram(t *testing.T) {
	for _, tags := range []string{"", "mpi"} {
		for _, p := range append([]string{"examples/hello", "cmd/rankpool"}, public...) {
			cmd := exec.Command("go", "list", "-deps", "-tags", tags, "./"+p)
			cmd.Dir = root(t)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if has := strings.Contains(string(out), "github.com/emer/empi"); has != (p == "mpicomm") {
				t.Errorf("with the tag %q %s depends on empi: %v", tags, p, has)
			}
		}
	}
}

// A program that shows nothing of itself links no web server, and nothing of Prometheus.
func TestOnlyMonitorBringsAWebServerIntoAProgram(t *testing.T) {
	for _, p := range append([]string{"examples/hello", "cmd/rankpool"}, public...) {
		cmd := exec.Command("go", "list", "-deps", "-tags", "mpi", "./"+p)
		cmd.Dir = root(t)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"net/http", "github.com/prometheus/client_golang/prometheus"} {
			if has := strings.Contains("\n"+string(out), "\n"+what+"\n"); has != (p == "monitor") && (what != "net/http" || p != "cmd/rankpool") {
				t.Errorf("%s depends on %s: %v", p, what, has)
			}
		}
	}
}
