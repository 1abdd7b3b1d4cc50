package progress_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/rankpool/rankpool/internal/progress"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func run(f func()) { f() }

func TestABarHasTheFiguresOfALineAndFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := progress.New(&strings.Builder{}, "sweep", 400)
		time.Sleep(10 * time.Second)
		p.Add(150, 3)
		for columns, want := range map[int]string{
			120: "sweep:  37% |███████████▎                  | 150/400, 3 failed, 15/s, 10s elapsed, 17s left",
			80:  "sweep:  37% |██████▊           | 150/400, 3 failed, 15/s, 10s elapsed, 17s left",
			65:  "sweep: 150/400 (37%), 3 failed, 15/s, 10s elapsed, 17s left",
			20:  "sweep: 150/400 (37%…",
			1:   "…",
		} {
			if got := p.Text(columns); got != want || utf8.RuneCountInString(got) > columns {
				t.Errorf("%d columns:\n%q, want\n%q", columns, got, want)
			}
		}
		p.Add(300, 0) // more than there are must not be drawn outside
		if got := p.Text(120); strings.Count(got, "█") != 30 {
			t.Errorf("%q", got)
		}
		endless := progress.New(&strings.Builder{}, "stream", progress.Unknown)
		time.Sleep(100 * time.Second)
		endless.Add(50, 0)
		if got, want := endless.Text(80), "stream: 50, 0.5/s, 1m40s elapsed"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// What a journal has from an earlier run comes at once. The time left is that of what has to run.
func TestWhatWasDoneBeforeDoesNotCountInTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := progress.New(&out, "sweep", 1000)
		p.Start(run)
		p.Known(900)
		p.Add(900, 0)
		time.Sleep(10 * time.Second)
		p.Add(50, 0)
		p.Stop()
		lines := strings.SplitAfter(out.String(), "\n")
		if got, want := lines[len(lines)-2], "sweep: 950/1000 (95%), 900 recorded before, 5.0/s, 10s elapsed, 10s left\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// late is a writer that returns when it is told.
type late struct{ calls chan chan struct{} }

func (l late) Write(b []byte) (int, error) {
	c := make(chan struct{})
	l.calls <- c
	<-c
	return len(b), nil
}

// A writer that is slow each time is waited for as long as it comes back.
func TestStopWaitsForAWriterAsLongAsItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := late{make(chan chan struct{})}
		p := progress.New(l, "x", 2)
		p.Start(run)
		first := <-l.calls // at 5 s
		began := time.Now()
		stopped := make(chan struct{})
		go func() { p.Stop(); close(stopped) }()
		time.Sleep(900 * time.Millisecond)
		close(first)
		last := <-l.calls
		time.Sleep(900 * time.Millisecond)
		close(last)
		<-stopped
		if took := time.Since(began); took != 1800*time.Millisecond {
			t.Errorf("Stop returned after %v", took)
		}
	})
}
