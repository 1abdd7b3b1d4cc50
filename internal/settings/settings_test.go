package settings_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/settings"
)

// list is a flag that writes what it cannot read.
type list []string

func (l *list) String() string     { return "[" + strings.Join(*l, " ") + "]" }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

var (
	scale = flag.Int("settings.scale", 1, "")
	paths list
	calls []string
)

func init() {
	flag.Var(&paths, "settings.path", "")
	flag.Func("settings.call", "", func(s string) error { calls = append(calls, s); return nil })
}

func enter(t *testing.T, s settings.Settings) (leave func()) {
	t.Helper()
	leave, err := s.Enter()
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// backToNothing takes back what a test has entered.
func backToNothing(t *testing.T) {
	t.Cleanup(func() { enter(t, settings.Settings{})() })
}

func TestOnlyWhatHasChangedIsTold(t *testing.T) {
	t.Setenv("SETTINGS_KEPT", "a")
	t.Setenv("SETTINGS_CHANGED", "a")
	t.Setenv("SETTINGS_GONE", "a")
	t.Setenv("SETTINGS_NEW", "") // brings the variable back afterwards
	if err := os.Unsetenv("SETTINGS_NEW"); err != nil {
		t.Fatal(err)
	}
	begin := settings.Begin()
	if s := begin.Changed(); s.Dir != "" || s.Set != nil || s.Unset != nil {
		t.Errorf("nothing has changed: %+v", s)
	}
	t.Setenv("SETTINGS_CHANGED", "b")
	t.Setenv("SETTINGS_NEW", "")
	if err := os.Unsetenv("SETTINGS_GONE"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	want := map[string]string{"SETTINGS_CHANGED": "b", "SETTINGS_NEW": "", "PWD": dir}
	s := begin.Changed()
	if d := cmp.Diff(want, s.Set); d != "" {
		t.Errorf("set (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"SETTINGS_GONE"}, s.Unset); d != "" || s.Dir != dir {
		t.Errorf("directory %s, gone (-want +got):\n%s", s.Dir, d)
	}
}

func TestAUmaskIsToldAndSetAndTakenBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere nothing tells the umask")
	}
	backToNothing(t)
	made := func() string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().String()
	}
	begin, before := settings.Begin(), made()
	if s := begin.Changed(); s.Umask != "" {
		t.Errorf("it has not changed, and is told as %q", s.Umask)
	}
	leave := enter(t, settings.Settings{Umask: "0137"})
	if got := made(); got != "-rw-r-----" {
		t.Errorf("a file is made as %s", got)
	}
	if s := begin.Changed(); s.Umask != "0137" {
		t.Errorf("it has changed to 0137, and is told as %q", s.Umask)
	}
	if _, err := (settings.Settings{Umask: "0177"}).Enter(); err == nil || !strings.Contains(err.Error(), "umask") {
		t.Errorf("another one beside it: %v", err)
	}
	leave()
	enter(t, settings.Settings{})()
	if got := made(); got != before {
		t.Errorf("afterwards a file is made as %s, before as %s", got, before)
	}
}

func TestTheNextMasterFindsTheProcessAsItWas(t *testing.T) {
	backToNothing(t)
	t.Setenv("SETTINGS_GONE", "a")
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	first := settings.Settings{
		Dir: t.TempDir(), Set: map[string]string{"SETTINGS_ONE": "1"}, Unset: []string{"SETTINGS_GONE"},
		Flags: []settings.Flag{{Name: "settings.scale", Text: "10", Values: []string{"10"}}, {Name: "unknown", Text: "1", Values: []string{"1"}}},
	}
	leave := enter(t, first)
	_, gone := os.LookupEnv("SETTINGS_GONE")
	if dir, err := os.Getwd(); dir != first.Dir || os.Getenv("SETTINGS_ONE") != "1" || gone || *scale != 10 {
		t.Errorf("%s %v, %q, %v, %d", dir, err, os.Getenv("SETTINGS_ONE"), gone, *scale)
	}
	leave()
	enter(t, settings.Settings{Set: map[string]string{"SETTINGS_TWO": "2"}})()
	_, one := os.LookupEnv("SETTINGS_ONE")
	if dir, err := os.Getwd(); dir != before || one || os.Getenv("SETTINGS_TWO") != "2" || os.Getenv("SETTINGS_GONE") != "a" || *scale != 1 {
		t.Errorf("%s %v, %v, %q, %q, %d", dir, err, one, os.Getenv("SETTINGS_TWO"), os.Getenv("SETTINGS_GONE"), *scale)
	}
}

func TestTwoMastersAtOnceMustAgree(t *testing.T) {
	backToNothing(t)
	s := settings.Settings{Set: map[string]string{"SETTINGS_ONE": "1"}}
	one, two := enter(t, s), enter(t, s)
	other := settings.Settings{Set: map[string]string{"SETTINGS_ONE": "2"}, Unset: []string{"SETTINGS_B"}, Dir: "/",
		Flags: []settings.Flag{{Name: "settings.scale", Text: "3", Values: []string{"3"}}}}
	one()
	one() // a second time does nothing
	_, err := other.Enter()
	if used := new(settings.InUseError); !errors.As(err, &used) {
		t.Fatalf("a different setting beside one in use: %v", err)
	}
	for _, word := range []string{"directory", "variable SETTINGS_ONE", "variable SETTINGS_B", "flag -settings.scale"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	two()
	enter(t, other)()
}

func TestWhatFailsHalfwayIsTakenBack(t *testing.T) {
	backToNothing(t)
	s := settings.Settings{Dir: t.TempDir(), Set: map[string]string{"SETTINGS_HALF": "1"},
		Flags: []settings.Flag{{Name: "settings.scale", Text: "many", Values: []string{"many"}}}}
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enter(); err == nil || !strings.Contains(err.Error(), "-settings.scale") {
		t.Errorf("a value that cannot be set: %v", err)
	}
	_, half := os.LookupEnv("SETTINGS_HALF")
	if dir, err := os.Getwd(); dir != before || half || *scale != 1 {
		t.Errorf("%s %v, %v, %d", dir, err, half, *scale)
	}
	s = settings.Settings{Dir: "/no/such/place"}
	if _, err := s.Enter(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// What a flag of a type of the user's own writes is not what it reads, so its values travel as the command line has them.
func TestFlagsOfOnesOwnTypesTravelAsTheyWereGiven(t *testing.T) {
	const role = "RANKPOOLTEST_FLAGS"
	if os.Getenv(role) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlagsOfOnesOwnTypesTravelAsTheyWereGiven$", "-settings.path", "a b",
			"--settings.path=c", "-settings.call=x", "-settings.scale", "7", "--", "-rest", "of it")
		cmd.Env = append(os.Environ(), role+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	s := settings.Flagged()
	want := []settings.Flag{
		{Name: "settings.call", Values: []string{"x"}},
		{Name: "settings.path", Text: "[a b c]", Values: []string{"a b", "c"}},
		{Name: "settings.scale", Text: "7", Values: []string{"7"}},
	}
	var got []settings.Flag
	for _, f := range s.Flags {
		if strings.HasPrefix(f.Name, "settings.") {
			got = append(got, f)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("flags (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"-rest", "of it"}, s.Args); d != "" || !s.Parsed {
		t.Errorf("parsed %v, arguments (-want +got):\n%s", s.Parsed, d)
	}
	// A worker that has parsed the same command line itself.
	enter(t, s)()
	if len(paths) != 2 || len(calls) != 1 {
		t.Errorf("set twice: %v, %v", paths, calls)
	}
	// One that has parsed nothing.
	flag.CommandLine = flag.NewFlagSet("worker", flag.ContinueOnError)
	var fresh list
	var called []string
	number := flag.Int("settings.scale", 1, "")
	flag.Var(&fresh, "settings.path", "")
	flag.Func("settings.call", "", func(s string) error { called = append(called, s); return nil })
	enter(t, settings.Settings{})()
	enter(t, s)()
	if d := cmp.Diff(list{"a b", "c"}, fresh); d != "" || *number != 7 || len(called) != 1 || !flag.Parsed() || flag.Arg(1) != "of it" {
		t.Errorf("%d, %v, %v, %q (-want +got):\n%s", *number, called, flag.Parsed(), flag.Args(), d)
	}
}
