package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// journalWith runs the subcommand and returns what it prints.
func journalWith(args ...string) (text string, status int) {
	var out bytes.Buffer
	status = start(append([]string{"journal"}, args...), command.Surroundings{Launcher: mpi.Launcher{Rank: -1}, Out: &out, Err: &out})
	return out.String(), status
}

func TestTheJournalCommandShowsVerifiesForgetsAndCompacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sweep.journal")
	l, err := resultlog.Open(path, resultlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, fn := range []resultlog.Function{{Name: "energy", Version: "1"}, {Name: "energy", Version: "2"}, {Name: "mass"}} {
		f, err := l.Function(fn)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 10 * (i + 1) {
			key, _ := l.Submit(f, f.Key([]byte{byte(k)}, nil))
			l.Record(f, key, make([]byte, 1000), nil)
		}
		key, _ := l.Submit(f, f.Key([]byte("bad"), nil))
		l.Failed(f, key, "too hot")
	}
	text, status := journalWith(path) // while it is written
	if status != 0 || !strings.Contains(text, path) {
		t.Error(status, text)
	}
	if text, status = journalWith("--forget", "mass", path); status != 1 || !strings.Contains(text, "is in use by process") {
		if status != 1 || !strings.Contains(text, "has nothing of") { // it may not have been written yet
			t.Error(status, text)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := func(text, name string) (found []string) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, name) {
				found = append(found, strings.Join(strings.Fields(line)[1:4], " "))
			}
		}
		return found
	}
	text, status = journalWith(path)
	if got := strings.Join(append(lines(text, "energy"), lines(text, "mass")...), ", "); status != 0 || !strings.HasPrefix(got, "1 10 1, 2 20 1, 30 1") {
		t.Error(status, got, text)
	}
	if text, status = journalWith("--verify", path); status != 0 || !strings.Contains(text, "every record is whole") {
		t.Error(status, text)
	}
	if text, status = journalWith("--forget", "energy", path); status != 0 || !strings.Contains(text, "32 results and failures of energy") {
		t.Error(status, text)
	}
	if text, _ = journalWith(path); strings.Count(text, "forgotten") != 2 {
		t.Error(text)
	}
	if text, status = journalWith("--compact", path); status != 0 || !strings.Contains(text, "before") {
		t.Error(status, text)
	}
	if text, _ = journalWith(path); strings.Contains(text, "energy") || len(lines(text, "mass")) != 1 {
		t.Error(text)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if text, status = journalWith("--verify", path); status != 1 || !strings.Contains(text, "damaged: bytes") {
		t.Error(status, text)
	}
	if text, status = journalWith(filepath.Join(t.TempDir(), "none")); status != 1 {
		t.Error(status, text)
	}
}
