package behaviour_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

var scale = flag.Int("behaviour.scale", 1, "a factor that tasks use")

// Surroundings are what a task finds set.
type Surroundings struct {
	Scale         int
	Parsed, Short bool
	Dir, Set      string
	Mode          string // of a file that it makes
	Unset         bool
}

var surroundings = futures.Register("surroundings", func(struct{}) (s Surroundings, err error) {
	_, is := os.LookupEnv("HOME")
	s = Surroundings{Scale: *scale, Parsed: flag.Parsed(), Short: testing.Short(), Set: os.Getenv("BEHAVIOUR_SET"), Unset: !is}
	if s.Dir, err = os.Getwd(); err == nil {
		s.Mode, err = modeOfNew(s.Dir)
	}
	return s, err
})

// modeOfNew makes a file and returns its permissions.
func modeOfNew(dir string) (string, error) {
	name := filepath.Join(dir, "new")
	defer os.Remove(name)
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		return "", err
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	return info.Mode().String(), nil
}

// setUp sets this process for a test.
func setUp(t *testing.T, factor, value string) (want Surroundings) {
	t.Helper()
	t.Setenv("HOME", "") // brings it back afterwards
	if err := os.Unsetenv("HOME"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BEHAVIOUR_SET", value)
	t.Chdir(t.TempDir())
	if err := flag.Set("behaviour.scale", factor); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("behaviour.scale", "1") })
	setUmask(t, map[string]int{"10": 0o037, "20": 0o017}[factor])
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mode, err := modeOfNew(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Surroundings{Scale: *scale, Parsed: true, Short: testing.Short(), Dir: dir, Set: value, Mode: mode, Unset: true}
}

func TestTasksSeeWhatTheProgramHasSetBeforeTheStart(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, factor := range []string{"10", "20"} { // and the next executor what has changed until then
			t.Run(factor, func(t *testing.T) {
				want := setUp(t, factor, "winter"+factor)
				got := result(t, submit(t, b.start(t, 1), surroundings, struct{}{}))
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		}
	})
}

func TestWhatTheProgramSetsAfterTheStartIsNotSeenByWorkersThatComeLater(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithMaxTasksPerChild(1))
		want := setUp(t, "10", "winter")
		for i := range 3 {
			if got := result(t, submit(t, ex, surroundings, struct{}{})); got != want {
				t.Errorf("worker %d: %s", i, cmp.Diff(want, got))
			}
			setUp(t, "20", "summer")
		}
	}, replaces)
}

func TestTheVariablesOfWithEnvArriveAsTheyAre(t *testing.T) {
	env := map[string]string{"GOMEMLIMIT": "3GiB", "GOMAXPROCS": "3"}
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2, futures.WithEnv(env))
		for name, want := range env {
			if got := result(t, submit(t, ex, getenv, name)); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}, func(b backend) bool { return b.apart && b.workers == 0 }) // of ranks the first executor sets the environment
}
