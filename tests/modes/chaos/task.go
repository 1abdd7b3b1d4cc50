//go:build unix

package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// deed is what a task does before it answers.
type deed uint8

const (
	nothing deed = iota
	compute
	sleep
	fail
	panics
	goexit
	exit
	kill
)

// failing tells whether the task is to end with an error of its own.
func (d deed) failing() bool { return d == fail || d == panics || d == goexit }

// crashing tells whether it is to end its worker.
func (d deed) crashing() bool { return d == exit || d == kill }

// task is one entry of the ledger, on its way to a worker.
type task struct {
	N    int
	Do   deed
	Data []byte
}

// answer is what comes back.
type answer struct {
	N    int
	Data []byte
}

var errTold = errors.New("told to fail")

var (
	work = futures.Register("work", perform)

	// workStar is work for the verbs that take several arguments.
	workStar = futures.Register("workStar", func(p futures.Pair[int, task]) (answer, error) { return perform(p.Second) })

	// workEach runs on every worker.
	workEach = futures.Register("workEach", func(t task) (int, error) {
		a, err := perform(t)
		return a.N, err
	})
)

func perform(t task) (answer, error) {
	if err := writeDown(t.N); err != nil {
		return answer{}, err
	}
	switch t.Do {
	case compute:
		x := uint64(t.N)
		for range 100_000 {
			x = x*6364136223846793005 + 1
		}
		if x == 1 { // it is not, and the compiler does not know
			return answer{}, nil
		}
	case sleep:
		time.Sleep(time.Duration(1+t.N%5) * time.Millisecond)
	case fail:
		return answer{}, errTold
	case panics:
		panic("told to panic")
	case goexit:
		runtime.Goexit()
	case exit:
		os.Exit(3)
	case kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return answer{t.N, t.Data}, nil
}

// diary is where this process writes down what it runs. What is written stays when the process is killed.
var diary = sync.OnceValues(func() (*os.File, error) {
	return os.OpenFile(filepath.Join(*dir, strconv.Itoa(os.Getpid())), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
})

func writeDown(n int) error {
	f, err := diary()
	if err != nil {
		return err
	}
	_, err = f.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return err
}

// read calls f for every task that any process began.
func read(f func(n int)) error {
	entries, err := os.ReadDir(*dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(*dir, e.Name()))
		if err != nil {
			return err
		}
		for ; len(b) >= 8; b = b[8:] {
			f(int(binary.LittleEndian.Uint64(b)))
		}
	}
	return nil
}
