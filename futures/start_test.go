package futures_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// slowFlag is a flag that takes its time to say its value, which the start of workers asks for.
type slowFlag struct {
	armed        bool
	asked, until chan struct{}
}

func (f *slowFlag) Set(string) error { return nil }
func (f *slowFlag) String() string {
	if f.armed {
		f.asked <- struct{}{}
		<-f.until
	}
	return ""
}

// A start can last as long as MPI takes to come up.
func TestCloseAndBackendDoNotWaitForAStartThatLasts(t *testing.T) {
	slow := &slowFlag{asked: make(chan struct{}), until: make(chan struct{})}
	flags := flag.CommandLine
	defer func() { flag.CommandLine = flags }()
	flag.CommandLine = flag.NewFlagSet(t.Name(), flag.ContinueOnError)
	flag.Var(slow, "slow", "")
	if err := flag.Set("slow", ""); err != nil {
		t.Fatal(err)
	}
	slow.armed = true
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	start, closed := make(chan error, 1), make(chan error, 1)
	go func() { start <- ex.Start() }()
	<-slow.asked
	go func() {
		if b := ex.Backend(); b != "processes" {
			t.Errorf("the backend is %q", b)
		}
		closed <- ex.Close()
	}()
	if err := within(t, closed, "Close"); err != nil {
		t.Error(err)
	}
	close(slow.until)
	if err := within(t, start, "Start"); !errors.Is(err, futures.ErrShutdown) {
		t.Errorf("Start: %v, want ErrShutdown", err)
	}
	if n, err := ex.NumWorkers(t.Context()); n != 0 || err != nil {
		t.Errorf("%d workers, %v", n, err)
	}
}

// within receives from a channel, for so long as a test may take.
func within(t *testing.T, c <-chan error, what string) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(testkit.Limit):
		t.Fatalf("%s does not return", what)
		return nil
	}
}
