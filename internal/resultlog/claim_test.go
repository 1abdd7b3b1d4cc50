package resultlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/resultlog"
)

func TestASecondMasterIsRefusedWithTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	_, err := resultlog.Open(path, resultlog.Options{Lease: 50 * time.Millisecond})
	var claimed *resultlog.ClaimedError
	host, _ := os.Hostname()
	if !errors.As(err, &claimed) || claimed.Pid != os.Getpid() || claimed.Host != host || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	closeLog(t, l)
	l = open(t, path, resultlog.Options{})
	closeLog(t, l)
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

func TestOfManyThatOpenOneLogOneGetsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 20 {
		var wg sync.WaitGroup
		got := make(chan *resultlog.Log, 8)
		for range cap(got) {
			wg.Go(func() {
				l, err := resultlog.Open(path, resultlog.Options{Lease: 5 * time.Second})
				if claimed := (*resultlog.ClaimedError)(nil); err != nil && !errors.As(err, &claimed) {
					t.Error(err)
				} else if err == nil {
					got <- l
				}
			})
		}
		wg.Wait()
		close(got)
		if len(got) != 1 {
			t.Errorf("%d have it", len(got))
		}
		for l := range got {
			closeLog(t, l)
		}
	}
}

func TestAClaimOfAnotherHostHoldsForItsLease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	live, release, err := resultlog.ForeignClaim(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var sign time.Time // before the last sign of life
	wg.Go(func() {
		for ctx.Err() == nil {
			sign = time.Now()
			_ = live()
			time.Sleep(time.Millisecond)
		}
	})
	var w warnings
	_, err = resultlog.Open(path, resultlog.Options{Lease: time.Minute, Warn: w.warn})
	var claimed *resultlog.ClaimedError
	if !errors.As(err, &claimed) || claimed.Host != "node7" || claimed.Pid != 4711 || !strings.Contains(w.text(), "waiting for up to 1m0s") {
		t.Error(err, w.text())
	}
	cancel()
	wg.Wait()
	l := open(t, path, resultlog.Options{Lease: 300 * time.Millisecond}) // no sign of life for that long
	if waited := time.Since(sign); waited < 200*time.Millisecond {       // the clock of a file system is a coarse one
		t.Errorf("it was taken over %v after its last sign of life", waited)
	}
	closeLog(t, l)
	release()
}

// The job comes back on another node, later.
func TestAnOldClaimOfAnotherHostIsTakenOverAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if _, _, err := resultlog.ForeignClaim(path); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * resultlog.Lease)
	if err := os.Chtimes(path+".claim-1", old, old); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, resultlog.Options{Warn: func(s string) { t.Error("it waits:", s) }})
	closeLog(t, l)
}

func TestAMasterWhoseClaimIsTakenOverRecordsNoMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var w warnings
	l := open(t, path, resultlog.Options{Lease: 30 * time.Millisecond, Warn: w.warn})
	f := function(t, l, "f")
	record(l, f, 0, 10)
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := resultlog.LoseClaim(l, "node8"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // it trusts a sign of life of its own for half of the lease
	record(l, f, 10, 20)
	if err := l.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "taken over by process 4711 on node8 (sweep)") || !strings.Contains(w.text(), "node8") {
		t.Error(err, w.text())
	}
	info, err := resultlog.Inspect(path, true)
	if err != nil || len(info.Functions) != 1 || info.Functions[0].Results != 10 {
		t.Error(info, err)
	}
	if _, err := os.Stat(path + ".claim-2"); err != nil {
		t.Error("the other's claim is gone:", err)
	}
}
