//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// confine has the worker take no more memory than it has and so many bytes, or become another user.
var confine = futures.Register("confine", func(p futures.Pair[string, int]) (int, error) {
	switch p.First {
	case "memory":
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			return 0, err
		}
		pages := 0
		if _, err := fmt.Sscan(string(text), &pages); err != nil {
			return 0, err
		}
		limit := uint64(pages*os.Getpagesize() + p.Second)
		return 0, unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit})
	case "user":
		return 0, syscall.Setuid(p.Second)
	}
	return 0, errors.New("what?")
})

var length = futures.Register("length", func(b []byte) (int, error) { return len(b), nil })

// byEveryWay runs a test with memory that processes read from each other, and without.
func byEveryWay(t *testing.T, test func(t *testing.T)) {
	for name, socket := range map[string]string{"shown": "0", "by the socket": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RANKPOOL_PROC_SOCKET", socket)
			test(t)
		})
	}
}

func TestAnArgumentThatIsTooLargeForItsWorkersFailsAndTheOthersAreServed(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector needs more memory than the workers are left")
	}
	byEveryWay(t, func(t *testing.T) {
		log := t.TempDir() + "/stderr" // the workers print what they ran out of, at length
		ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithInitializer(confine, futures.Pair[string, int]{First: "memory", Second: 400 << 20}))
		toFile(t, log, func() {
			booted(t, ex)
			large := submit(t, ex, length, make([]byte, 1<<30))
			small := submit(t, ex, length, make([]byte, 1<<20))
			err := failure(t, large)
			if !errors.Is(err, futures.ErrBroken) {
				t.Errorf("%v", err)
			}
			says(t, err, "length was lost with worker", "lost while it was received", "exit status 2, while it received what it was sent")
			if n, err := small.Result(limited(t)); err != nil || n != 1<<20 {
				t.Errorf("the small one: %d, %v", n, err)
			}
			works(t, ex)
			if s := ex.Stats(); s.Lost != 3 || s.Failed != 1 {
				t.Errorf("%+v", s)
			}
		})
		if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), "fatal error: ") != 3 {
			t.Errorf("%d workers have run out of memory, %v", strings.Count(string(text), "fatal error: "), err)
		}
	})
}

// toFile has what is started meanwhile write its standard error to a file.
func toFile(t *testing.T, path string, f func()) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	old := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = old }()
	f()
}

func TestAnInitializerThatChangesTheUserKeepsNothingFromArriving(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may become another user")
	}
	byEveryWay(t, func(t *testing.T) {
		ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithInitializer(confine, futures.Pair[string, int]{First: "user", Second: 65534}))
		booted(t, ex)
		var fs []*futures.Future[[]byte]
		for range 20 {
			fs = append(fs, submit(t, ex, echo, make([]byte, 1<<20)))
		}
		for _, f := range fs {
			if b, err := f.Result(limited(t)); err != nil || len(b) != 1<<20 {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
		}
		if s := ex.Stats(); s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAWorkerThatIsStoppedInTheMiddleOfALargeArgumentIsLostAndTheTaskRunsElsewhere(t *testing.T) {
	byEveryWay(t, func(t *testing.T) {
		ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithLiveness(liveness))
		victim := booted(t, ex)[0]
		signalTo(t, victim, syscall.SIGSTOP)
		const size = 64 << 20 // far more than a socket holds
		f := submit(t, ex, length, make([]byte, size))
		if n, err := f.Result(limited(t)); n != size || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if s := ex.Stats(); s.Failed > 0 || s.Lost != 1 {
			t.Errorf("counters: %+v", s)
		}
	})
}
