package logs_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/logs"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// written returns what is on standard error when f has returned.
func written(t *testing.T, f func()) string {
	t.Helper()
	to, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	old := os.Stderr
	os.Stderr = to
	defer func() { os.Stderr = old }()
	f()
	b, err := os.ReadFile(to.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func report() {
	l := slog.New(logs.Default{})
	l.Debug("at debug")
	l.With("worker", 3).Info("at info")
	l.WithGroup("g").Warn("at warn", "err", errors.Join(errors.New("one"), errors.New("two")))
	l.Error("at error")
}

func TestTheVariableSaysFromWhichLevelOnRecordsAreWritten(t *testing.T) {
	texts := []string{"at debug", "at info", "at warn", "at error"}
	for value, from := range map[string]int{"debug": 0, "INFO": 1, "": 2, "warn": 2, "error": 3, "off": 4, "loud": 2} {
		t.Setenv(logs.Variable, value)
		got := written(t, report)
		for i, text := range texts {
			if strings.Contains(got, text) != (i >= from) {
				t.Errorf("%q and %q:\n%s", value, text, got)
			}
		}
		if strings.Count(got, "\n") != len(texts)-from {
			t.Errorf("%q: a record is not one line:\n%s", value, got)
		}
		for line := range strings.Lines(got) {
			if !strings.HasPrefix(line, "time=") {
				t.Errorf("in a file a line has the time: %s", line)
			}
		}
	}
	if _, err := logs.ReadLevel("loud"); err == nil || !strings.Contains(err.Error(), "use off, error") {
		t.Error(err)
	}
}

func TestTheLoggerThatAProgramHasMadeItsDefaultHasTheRecords(t *testing.T) {
	t.Setenv(logs.Variable, "info")
	old := slog.Default()
	defer slog.SetDefault(old)
	var own bytes.Buffer
	slog.SetDefault(slog.New(slog.NewJSONHandler(&own, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if got := written(t, report); got != "" {
		t.Errorf("on standard error:\n%s", got)
	}
	if got := own.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"worker":3`) {
		t.Errorf("its own has:\n%s", got)
	}
}
