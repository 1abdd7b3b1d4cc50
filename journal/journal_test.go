package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/journal"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestASecondMasterIsToldWhoHasTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if j.Path() != path {
		t.Error(j.Path())
	}
	_, err = journal.Open(path)
	host, _ := os.Hostname()
	var used *journal.InUseError
	if !errors.As(err, &used) || used.Pid != os.Getpid() || used.Host != host || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	for range 2 {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := (*journal.Journal)(nil).Close(); err != nil {
		t.Error(err)
	}
}
