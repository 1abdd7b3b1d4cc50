package registry_test

import (
	"fmt"
	"io"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/registry"
)

type pair[A, B any] struct {
	First  A
	Second B
}

type stamped struct {
	time.Time
	Extra int
}

// Two types of one name, as two functions may declare them.
func layoutA() reflect.Type {
	type local struct{ X int }
	return reflect.TypeFor[local]()
}

func layoutB() reflect.Type {
	type local struct{ X int32 }
	return reflect.TypeFor[local]()
}

func TestDescribeSpellsOutTheLayout(t *testing.T) {
	const pkg = "github.com/rankpool/rankpool/internal/registry_test."
	for want, typ := range map[string]reflect.Type{
		"":                       nil,
		"int":                    reflect.TypeFor[int](),
		"[]byte":                 reflect.TypeFor[[]byte](),
		"[3]map[string]*float64": reflect.TypeFor[[3]map[string]*float64](),
		"any":                    reflect.TypeFor[any](),
		"error":                  reflect.TypeFor[error](),
		"struct{a int; B any}": reflect.TypeFor[struct {
			a int
			B any
		}](),
		pkg + "job struct{ID int; Next *" + pkg + "job}":          reflect.TypeFor[job](),
		pkg + "pair[int,string] struct{First int; Second string}": reflect.TypeFor[pair[int, string]](),
		"time.Duration int64":                                     reflect.TypeFor[time.Duration](),
		"time.Time binary":                                        reflect.TypeFor[time.Time](),
		"math/big.Int binary":                                     reflect.TypeFor[big.Int](),
		"[]time.Month int":                                        reflect.TypeFor[[]time.Month](),
		pkg + "stamped struct{time.Time binary; Extra int}":       reflect.TypeFor[stamped](),
		"io.Reader interface{Read([]uint8) (int, error)}":         reflect.TypeFor[io.Reader](),
		"chan int": reflect.TypeFor[chan int](),
		"struct{A " + pkg + "local struct{X int}; B " + pkg + "local#2 struct{X int32}; C *" + pkg + "local}": reflect.StructOf([]reflect.StructField{
			{Name: "A", Type: layoutA()}, {Name: "B", Type: layoutB()}, {Name: "C", Type: reflect.PointerTo(layoutA())},
		}),
	} {
		if got := registry.Describe(typ); got != want {
			t.Errorf("%v:\n got %s\nwant %s", typ, got, want)
		}
	}
	if registry.Describe(layoutA()) == registry.Describe(layoutB()) {
		t.Error("a changed field goes unnoticed")
	}
}

func program(t *testing.T, entries ...registry.Entry) registry.Fingerprint {
	t.Helper()
	var table registry.Table
	add(t, &table, entries...)
	return table.Fingerprint()
}

func TestTheFingerprintIdentifiesThisProgram(t *testing.T) {
	f := program(t, fn("b"), fn("a"))
	if f.GoVersion != runtime.Version() || f.OS != runtime.GOOS || f.Arch != runtime.GOARCH || f.Module == "" {
		t.Errorf("got %+v", f)
	}
	if !strings.HasPrefix(f.Build, "go:") && !strings.HasPrefix(f.Build, "sha256:") {
		t.Errorf("build %q", f.Build)
	}
	want := []registry.Signature{{Name: "a", Args: "int", Result: "[]byte"}, {Name: "b", Args: "int", Result: "[]byte"}}
	if d := cmp.Diff(want, f.Entries); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(f, program(t, fn("a"), fn("b"))); d != "" {
		t.Errorf("the order of registration shows:\n%s", d)
	}
}

func TestEqualFingerprintsHashAlikeAndOthersDoNot(t *testing.T) {
	f := program(t, fn("a"))
	g := program(t, fn("a"))
	g.Module = "elsewhere"
	if f.Hash() != g.Hash() {
		t.Error("where the source came from is part of the hash")
	}
	for name, change := range map[string]func(*registry.Fingerprint){
		"build":  func(f *registry.Fingerprint) { f.Build += "x" },
		"go":     func(f *registry.Fingerprint) { f.GoVersion += "x" },
		"os":     func(f *registry.Fingerprint) { f.OS += "x" },
		"arch":   func(f *registry.Fingerprint) { f.Arch += "x" },
		"name":   func(f *registry.Fingerprint) { f.Entries[0].Name += "x" },
		"args":   func(f *registry.Fingerprint) { f.Entries[0].Args += "x" },
		"result": func(f *registry.Fingerprint) { f.Entries[0].Result += "x" },
		"kind":   func(f *registry.Fingerprint) { f.Entries[0].Kind++ },
		"fewer":  func(f *registry.Fingerprint) { f.Entries = nil },
		"border": func(f *registry.Fingerprint) { f.Build, f.GoVersion = f.Build+f.GoVersion[:1], f.GoVersion[1:] },
	} {
		g := program(t, fn("a"))
		change(&g)
		if f.Hash() == g.Hash() {
			t.Errorf("%s is not part of the hash", name)
		}
		if registry.Diff(f, g) == "" {
			t.Errorf("%s is not part of the difference", name)
		}
	}
}

func TestAFingerprintSurvivesTheWire(t *testing.T) {
	e := fn("ty")
	e.Kind, e.Args, e.Result = registry.Type, reflect.TypeFor[job](), nil
	for _, want := range []registry.Fingerprint{{}, program(t, fn("a"), fn("b"), e)} {
		got, err := registry.DecodeFingerprint(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-sent +arrived):\n%s", d)
		}
	}
}

func TestBytesThatAreNoFingerprintAreAnError(t *testing.T) {
	b := program(t, fn("a"), fn("b")).Encode()
	for n := range b {
		if _, err := registry.DecodeFingerprint(b[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes it is accepted", n, len(b))
		}
	}
	for name, b := range map[string][]byte{
		"more behind it": append(b[:len(b):len(b)], 0),
		"a huge count":   []byte("RPF2\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"a huge length":  []byte("RPF2\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc"),
		"an odd kind":    []byte("RPF2\x00\x00\x00\x00\x00\x00\x01\x09\x00\x00\x00"),
		"a name twice":   []byte("RPF2\x00\x00\x00\x00\x00\x00\x02\x00\x01a\x01b\x01c\x00\x01a\x01d\x01c"),
		"a wrong order":  []byte("RPF2\x00\x00\x00\x00\x00\x00\x02\x01\x01a\x01b\x01c\x00\x01b\x01d\x01c"),
		"something else": []byte("GET / HTTP/1.1"),
	} {
		if f, err := registry.DecodeFingerprint(b); err == nil || !strings.Contains(err.Error(), "not a fingerprint") {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
	}
}

func FuzzDecodeFingerprint(f *testing.F) {
	var table registry.Table
	if err := table.Add(fn("f")); err != nil {
		f.Fatal(err)
	}
	f.Add(table.Fingerprint().Encode())
	f.Add(registry.Fingerprint{}.Encode())
	f.Add([]byte("RPF2\x00\x00\x00\x00\x00\x00\x01\x01\x01a\x01b\x01c"))
	mine := table.Fingerprint()
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := registry.DecodeFingerprint(b)
		if err != nil {
			return
		}
		again, err := registry.DecodeFingerprint(got.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, again); d != "" {
			t.Fatal(d)
		}
		if got.Hash() != again.Hash() || registry.Diff(got, again) != "" {
			t.Fatal("it differs from itself")
		}
		_ = registry.Diff(mine, got)
	})
}

func ptr(e registry.Entry, change func(*registry.Entry)) registry.Entry {
	change(&e)
	return e
}

func TestDiffShowsEveryDifferenceOnALineOfItsOwn(t *testing.T) {
	base := registry.Fingerprint{Build: "go:1", GoVersion: "go1.26.8", OS: "linux", Arch: "amd64", MPI: "Open MPI v4.1.4", Module: "m 1"}
	master, worker := base, base
	master.Entries = program(t, fn("juliaLine"), fn("same"), fn("f"),
		ptr(fn("limits"), func(e *registry.Entry) { e.Kind, e.Args, e.Result = registry.Global, reflect.TypeFor[float64](), nil })).Entries
	worker.Entries = program(t, fn("same"), fn("g"),
		ptr(fn("f"), func(e *registry.Entry) { e.Args = reflect.TypeFor[int32]() })).Entries
	if d := registry.Diff(master, master); d != "" {
		t.Errorf("equal fingerprints differ: %s", d)
	}
	worker.Build, worker.GoVersion, worker.Arch, worker.MPI, worker.Module = "go:2", "go1.26.9", "arm64", "MPICH Version: 4.0.2", "m 2"
	want := `- only the master has  juliaLine(int) []byte
- only the master has  global limits float64
+ only the worker has  g(int) []byte
~ differs  f: master (int) []byte, worker (int32) []byte
~ build: master go:1, worker go:2
~ Go version: master go1.26.8, worker go1.26.9
~ platform: master linux/amd64, worker linux/arm64
~ MPI library: master Open MPI v4.1.4, worker MPICH Version: 4.0.2
  (source: master m 1, worker m 2)`
	if d := cmp.Diff(want, registry.Diff(master, worker)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A local process of a master that is a rank has no MPI.
func TestAWorkerWithoutMPIDiffersFromNoLibrary(t *testing.T) {
	with, without := registry.Fingerprint{Build: "x", MPI: "Open MPI v4.1.4"}, registry.Fingerprint{Build: "x"}
	if d := registry.Diff(with, without); d != "" {
		t.Errorf("they differ: %s", d)
	}
}

func TestWhereTheSourceCameFromIsNoDifferenceByItself(t *testing.T) {
	a, b := registry.Fingerprint{Build: "x", Module: "1"}, registry.Fingerprint{Build: "x", Module: "2"}
	if d := registry.Diff(a, b); d != "" {
		t.Error(d)
	}
}

func TestABuildThatCannotBeReadIsNotCompared(t *testing.T) {
	a, b := registry.Fingerprint{Build: "x", Arch: "a"}, registry.Fingerprint{Arch: "a"}
	if d := registry.Diff(a, b); d != "" {
		t.Errorf("refused: %s", d)
	}
	b.Arch = "b"
	if d := registry.Diff(a, b); !strings.Contains(d, "not compared") {
		t.Errorf("it does not say so: %s", d)
	}
}

func TestALongTypeIsShownAroundItsDifference(t *testing.T) {
	var a, b []reflect.StructField
	for i := range 100 {
		f := reflect.StructField{Name: fmt.Sprint("Field", i), Type: reflect.TypeFor[int]()}
		a = append(a, f)
		if i == 70 {
			f.Name = "Änderung"
		}
		b = append(b, f)
	}
	with := func(fields []reflect.StructField) registry.Fingerprint {
		return program(t, ptr(fn("f"), func(e *registry.Entry) { e.Args = reflect.StructOf(fields) }))
	}
	d := registry.Diff(with(a), with(b))
	if len(d) > 400 || !strings.Contains(d, "Field70") || !strings.Contains(d, "Änderung") || !strings.Contains(d, "…") {
		t.Errorf("%d bytes: %s", len(d), d)
	}
	only := registry.Diff(with(a), program(t))
	if len(only) > 300 || !strings.Contains(only, "f(struct{Field0 int") {
		t.Errorf("%d bytes: %s", len(only), only)
	}
}

func TestANameWithALineBreakDoesNotForgeALine(t *testing.T) {
	d := registry.Diff(registry.Fingerprint{Build: "x"}, registry.Fingerprint{Build: "x", Entries: []registry.Signature{{Name: "a\n- b", Args: "x\ny"}}})
	if strings.Count(d, "\n") != 0 {
		t.Error(d)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	var table registry.Table
	for i := range 20 {
		e := fn(fmt.Sprint("f", i))
		e.Args = reflect.TypeFor[job]()
		if err := table.Add(e); err != nil {
			b.Fatal(err)
		}
	}
	table.Freeze("")
	b.ReportAllocs()
	for b.Loop() {
		f := table.Fingerprint()
		_ = f.Hash()
	}
}
