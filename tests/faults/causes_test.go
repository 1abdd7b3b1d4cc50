//go:build unix

package faults_test

import (
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// exitLater ends the worker a moment after the call has returned.
var exitLater = futures.Register("exitLater", func(dir string) (int, error) {
	go func() {
		for {
			if _, err := os.Stat(dir + "/go"); err == nil {
				os.Exit(5)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return 0, nil
})

func TestTheErrorOfALossSaysWhatTheWorkerWasDoing(t *testing.T) {
	for name, c := range map[string]struct {
		what       string
		want, lies []string
	}{
		"exit":  {"exit 3", []string{"act was lost with worker 0", "exit status 3, while it ran a task; a task must return an error"}, []string{"initializer", "Main"}},
		"panic": {"panic elsewhere", []string{"exit status 2, while it ran a task", "a panic in a goroutine", "status 2", "its standard error may say why"}, nil},
		"kill":  {"kill", []string{"signal: killed, not by its master", "a task too", "while it ran a task"}, []string{"somebody else", "os.Exit", "standard error"}},
	} {
		t.Run(name, func(t *testing.T) {
			ex := processes.open(t, futures.WithMaxWorkers(1))
			err := failure(t, submit(t, ex, act, c.what))
			says(t, err, c.want...)
			saysNot(t, err, c.lies...)
		})
	}
}

// lockedText is a text that one goroutine writes while another reads it.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func saysNot(t *testing.T, err error, lies ...string) {
	t.Helper()
	for _, l := range lies {
		if strings.Contains(err.Error(), l) {
			t.Errorf("it says %q", l)
		}
	}
}

func TestAnInitializerThatFailsOrEndsTheProcessNamesItsWorkerOnce(t *testing.T) {
	for what, want := range map[string]string{
		"error":  `^the pool is broken: initializer \S+ failed on worker 0 \(.*pid \d+\): no luck$`,
		"exit 3": `^the pool is broken: worker 0: process \d+ on .* ended: exit status 3, during its set-up; an initializer must return an error, not end the process; its standard error may say why$`,
	} {
		ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithInitializer(setUp, what))
		err := failure(t, submit(t, ex, inc, 1))
		if text := err.Error(); !regexp.MustCompile(want).MatchString(text) || strings.Count(text, "worker 0") != 1 {
			t.Errorf("%s: %s", what, text)
		}
	}
}

func TestAWorkerThatEndsWithNothingToDoIsNotATasksFault(t *testing.T) {
	dir := t.TempDir()
	var log lockedText
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if _, err := submit(t, ex, exitLater, dir).Result(limited(t)); err != nil {
		t.Fatal(err)
	}
	letGo(t, dir)
	until(t, "the loss", func() bool { return ex.Stats().Lost == 1 })
	until(t, "the warning", func() bool { return strings.Contains(log.String(), "worker was lost") })
	says(t, log.String(), "exit status 5, with nothing to do; a goroutine that a task or the initializer has started may have ended it")
}
