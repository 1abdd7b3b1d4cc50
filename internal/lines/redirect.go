//go:build unix

package lines

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// redirected is what this process's standard output and error have been replaced by.
var redirected struct {
	sync.Mutex
	users int
	what  string
	end   func()
}

// Redirect replaces this process's standard output and error: each line gets the prefix, or if file is set all goes there. It holds
// until the last caller calls the function that comes back, which passes on all that was printed. What tells what was
// asked for: a caller that asks for something else meanwhile gets an error, and one that asks for the same gets what the first has.
//
// What this process prints passes through itself. If it is killed, what it printed in the last moment can be lost; what Go's runtime
// says when it crashes is not.
func Redirect(what, prefix, file string) (release func(), err error) {
	redirected.Lock()
	defer redirected.Unlock()
	switch {
	case redirected.users > 0 && redirected.what != what:
		return nil, errors.New("the output of this process goes somewhere else for another executor")
	case redirected.users == 0:
		end, err := redirect(prefix, file)
		if err != nil {
			return nil, err
		}
		redirected.what, redirected.end = what, end
	}
	redirected.users++
	return sync.OnceFunc(func() {
		redirected.Lock()
		defer redirected.Unlock()
		if redirected.users--; redirected.users == 0 {
			redirected.end()
		}
	}), nil
}

// A launcher reads what a rank prints in pieces of its own size, and mixes those of several ranks. So that each piece has whole
// lines, no more is written than is read at once, and nothing while something has not been read.
const (
	atOnce  = 2 << 10                // what a terminal takes in one piece; a pipe takes 4 KiB
	reading = 500 * time.Millisecond // a reader that has not read after that breaks lines
)

// awaitEmpty waits until all that was written to a pipe or a terminal has been read, for a while.
func awaitEmpty(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	end := time.Now().Add(reading)
	for pause := 20 * time.Microsecond; time.Now().Before(end); pause = min(2*pause, time.Millisecond) {
		left := 0
		_ = raw.Control(func(fd uintptr) { left = unread(int(fd)) })
		if left <= 0 {
			return
		}
		time.Sleep(pause)
	}
}

// passing is how long the end of a redirection waits for a reader that does not read.
const passing = 10 * time.Second

func redirect(prefix, file string) (end func(), err error) {
	var own [2]*os.File // what the descriptors were before
	undo := func() {
		for i, f := range own {
			if f != nil {
				_ = dup(int(f.Fd()), i+1)
				_ = f.Close()
			}
		}
	}
	for i := range own {
		fd, err := unix.FcntlInt(uintptr(i+1), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			undo()
			return nil, fmt.Errorf("standard output or error: %w", err)
		}
		own[i] = os.NewFile(uintptr(fd), []string{"stdout", "stderr"}[i])
	}
	if file != "" {
		f, err := Open(file)
		if err == nil {
			err = errors.Join(dup(int(f.Fd()), 1), dup(int(f.Fd()), 2), f.Close())
		}
		if err != nil {
			undo()
			return nil, err
		}
		return undo, nil
	}
	var relays [2]*Relay
	for i := range relays {
		r, w, err := start(prefix, own[i], atOnce, func() { awaitEmpty(own[i]) })
		if err == nil {
			relays[i] = r
			err = errors.Join(dup(int(w.Fd()), i+1), w.Close())
		}
		if err != nil {
			undo()
			return nil, err
		}
	}
	_ = debug.SetCrashOutput(own[1], debug.CrashOptions{}) // nobody passes on what comes then
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		for i, f := range own {
			_ = dup(int(f.Fd()), i+1)
		}
		for i, r := range relays {
			r.Drain(passing)
			go func() { // a program that a task has started may print on
				<-r.done
				_ = own[i].Close()
			}()
		}
	}, nil
}

// Open opens a file to append to, and makes its folder if there is none.
func Open(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
}
