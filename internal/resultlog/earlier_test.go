package resultlog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

// found opens a log, looks functions up, twice each, and returns what the log has warned of.
func found(t *testing.T, path string, functions ...resultlog.Function) string {
	t.Helper()
	var w warnings
	l := open(t, path, resultlog.Options{Warn: w.warn})
	for _, f := range append(functions, functions...) {
		if _, err := l.Function(f); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	return w.text()
}

func TestOnceForEachFunctionALogSaysWhyNothingOfItIsUsed(t *testing.T) {
	old := resultlog.Function{Name: "simulate", Version: "1", Types: [8]byte{1}, Given: [8]byte{1}}
	version, types, given, all, other := old, old, old, old, old
	version.Version = "2"
	types.Types[0]++
	given.Given[0]++
	all.Version, all.Types, all.Given = "", types.Types, given.Given
	other.Name = "other"
	const (
		byVersion = `version "1" was recorded, and it is version "2" now`
		byTypes   = "the types of its argument or its result have changed"
		byGiven   = "what its workers are given has changed"
	)
	for name, tt := range map[string]struct {
		now  []resultlog.Function
		want []string
	}{
		"another version":               {[]resultlog.Function{version}, []string{byVersion}},
		"other types":                   {[]resultlog.Function{types}, []string{byTypes}},
		"other values":                  {[]resultlog.Function{given}, []string{byGiven}},
		"all of them":                   {[]resultlog.Function{all}, []string{`version "1" was recorded, and it is version "" now`, byTypes, byGiven}},
		"several ways":                  {[]resultlog.Function{version, types, given, old}, []string{byVersion}},
		"the same":                      {[]resultlog.Function{old}, nil},
		"the same, and then others":     {[]resultlog.Function{old, version, given}, nil},
		"another name":                  {[]resultlog.Function{other}, nil},
		"one that is there without any": {[]resultlog.Function{{Name: "unused", Version: "2"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			l := open(t, path, resultlog.Options{})
			f, err := l.Function(old)
			if err != nil {
				t.Fatal(err)
			}
			record(l, f, 0, 19)
			k, _ := l.Submit(f, f.Key(argument(19), nil))
			l.Failed(f, k, "odd")
			record(l, function(t, l, "unused"), 0, 0)
			closeLog(t, l)
			said := found(t, path, tt.now...)
			if lines := strings.Count(said, "journal "+path+": it has "); lines != min(len(tt.want), 1) {
				t.Errorf("%d warnings:\n%s", lines, said)
			}
			for _, want := range append(tt.want, "it has 20 entries of simulate that its calls do not match: ", "rankpool journal "+path) {
				if tt.want != nil && !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			for _, part := range []string{byVersion, byTypes, byGiven} {
				if tt.want != nil && strings.Contains(said, part) != strings.Contains(strings.Join(tt.want, ""), part) {
					t.Errorf("%q:\n%s", part, said)
				}
			}
		})
	}
}

func TestOfWhatWasForgottenALogDoesNotSayThatItIsNotUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	record(l, function(t, l, "f"), 0, 3)
	closeLog(t, l)
	if said := found(t, path, resultlog.Function{Name: "f", Version: "2"}); !strings.Contains(said, "it has 3 entries of f ") {
		t.Error(said)
	}
	if _, err := resultlog.Forget(path, "f", resultlog.Options{}); err != nil {
		t.Fatal(err)
	}
	if said := found(t, path, resultlog.Function{Name: "f", Version: "3"}); said != "" {
		t.Error(said)
	}
}

// Of several that are there the one that is nearest to that of now tells the reason, whichever came last.
func TestTheReasonIsThatOfTheNearest(t *testing.T) {
	near := resultlog.Function{Name: "f", Version: "2", Given: [8]byte{1}}
	far := resultlog.Function{Name: "f", Version: "1", Given: [8]byte{2}}
	now := resultlog.Function{Name: "f", Version: "3", Given: [8]byte{1}}
	for _, order := range [][]resultlog.Function{{near, far}, {far, near}} {
		path := filepath.Join(t.TempDir(), "log")
		l := open(t, path, resultlog.Options{})
		for _, f := range order {
			number, err := l.Function(f)
			if err != nil {
				t.Fatal(err)
			}
			record(l, number, 0, 2)
		}
		closeLog(t, l)
		if said := found(t, path, now); !strings.Contains(said, `it has 4 entries of f that its calls do not match: version "2" was recorded, and it is version "3" now; its calls`) {
			t.Error(said)
		}
	}
}
