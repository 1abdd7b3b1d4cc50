package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var all = []string{"hello", "primes", "julia", "wordcount", "cpi"}

func TestHelpNamesTheUsageAndTheEnvironment(t *testing.T) {
	for _, example := range all {
		t.Run(example, func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				o := run(t, b, start{example: example, args: []string{"-help"}})
				if o.code != 0 || o.stdout != "" {
					t.Errorf("exit status %d, stdout %q, want 0 and nothing", o.code, o.stdout)
				}
				if !strings.HasPrefix(o.stderr, "usage: "+example) || !strings.Contains(o.stderr, "RANKPOOL_BACKEND") {
					t.Errorf("not much of a help: %q", o.stderr)
				}
			})
		})
	}
}

func TestWrongInputEndsInAnErrorThatSaysWhatIsWrong(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	empty := t.TempDir()
	for _, tt := range []struct {
		name string
		start
		code int
		want []string // all of them in the one complaint
	}{
		{"hello with a flag", start{example: "hello", args: []string{"-loud"}}, 2, []string{"-loud", "usage: hello"}},
		{"primes of a word", start{example: "primes", args: []string{"7", "x"}}, 1, []string{`"x"`, "number", "-help"}},
		{"primes of too much", start{example: "primes", args: []string{"18446744073709551616"}}, 1,
			[]string{"18446744073709551616", "number", "-help"}},
		{"primes of a fraction", start{example: "primes", args: []string{"2.5"}}, 1, []string{`"2.5"`, "number", "-help"}},
		{"primes of a negative number", start{example: "primes", args: []string{"-7"}}, 2, []string{"-7", "usage: primes"}},
		{"cpi with two arguments", start{example: "cpi", args: []string{"128", "4"}}, 1, []string{`"4"`, "-help"}},
		{"cpi of a word", start{example: "cpi", args: []string{"many"}}, 1, []string{`"many"`, "whole number", "-help"}},
		{"cpi without intervals", start{example: "cpi", args: []string{"0"}}, 1, []string{`"0"`, "at least 1"}},
		{"julia with an argument", start{example: "julia", args: []string{"out.png"}}, 1, []string{`"out.png"`, "-help"}},
		{"julia with a flag", start{example: "julia", args: []string{"-c=1"}}, 2, []string{"-c", "usage: julia"}},
		{"julia with a word for workers", start{example: "julia", args: []string{"-workers=many"}}, 2,
			[]string{`"many"`, "-workers", "usage: julia"}},
		{"julia with less than one worker", start{example: "julia", args: []string{"-workers=-1"}}, 1,
			[]string{"-1", "at least 1 worker"}},
		{"wordcount of two directories", start{example: "wordcount", args: []string{".", "."}}, 1,
			[]string{"one directory", "-help"}},
		{"wordcount of what is not there", start{example: "wordcount", args: []string{missing}}, 1,
			[]string{"wordcount", missing}},
		{"wordcount of nothing", start{example: "wordcount", args: []string{empty}}, 1, []string{"no .go file", empty}},
		{"wordcount with batches of nothing", start{example: "wordcount", args: []string{"-batch=0", "."}}, 1,
			[]string{"-batch", "at least 1"}},
		{"wordcount with an empty table", start{example: "wordcount", args: []string{"-top=-3", "."}}, 1,
			[]string{"-top", "at least 1"}},
		{"wordcount without go", start{example: "wordcount", env: []string{"PATH=" + empty}}, 1,
			[]string{"Go installation", "name a directory"}},
		{"an unknown backend", start{example: "hello", env: []string{"RANKPOOL_BACKEND=carrier-pigeon"}}, 1,
			[]string{"RANKPOOL_BACKEND", "carrier-pigeon", "threads"}},
		{"no workers", start{example: "hello", env: []string{"RANKPOOL_MAX_WORKERS=0"}}, 1,
			[]string{"RANKPOOL_MAX_WORKERS", "0"}},
		{"a word for workers", start{example: "julia", env: []string{"RANKPOOL_MAX_WORKERS=lots"}}, 1,
			[]string{"RANKPOOL_MAX_WORKERS", "lots"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				o := run(t, b, tt.start)
				if o.code != tt.code || o.stdout != "" {
					t.Errorf("exit status %d, stdout %q, want %d and nothing", o.code, o.stdout, tt.code)
				}
				for _, want := range tt.want {
					if !strings.Contains(o.stderr, want) {
						t.Errorf("stderr does not mention %q:\n%s", want, o.stderr)
					}
				}
				if strings.Contains(o.stderr, "goroutine ") {
					t.Errorf("a stack instead of a message:\n%s", o.stderr)
				}
			})
		})
	}
}

func TestJuliaSaysWhichFileItCannotWrite(t *testing.T) {
	for _, name := range []string{"julia.pgm", "julia.png"} {
		t.Run(name, func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				dir := t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
				o := run(t, b, start{example: "julia", dir: dir})
				if o.code != 1 || !strings.Contains(o.stderr, name) {
					t.Errorf("exit status %d, stderr %q, want 1 and the name of the file", o.code, o.stderr)
				}
			})
		})
	}
}
