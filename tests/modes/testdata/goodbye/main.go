// Command goodbye runs a task on every worker and ends, with a handler that libc is to run at the end of the process. Its
// arguments: the form of its end, what the handler does, what else the tasks do, and the status.
package main

/*
#include <stdlib.h>
#include <unistd.h>

static void say(void) { (void)!write(1, "handler ran\n", 12); }
static void hang(void) { (void)!write(1, "handler ran\n", 12); for (;;) pause(); }

static void register_say(void) { atexit(say); }
static void register_hang(void) { atexit(hang); }
*/
import "C"

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var counter int

var task = futures.Register("task", func(int) (int, error) {
	if os.Args[3] == "race" {
		done := make(chan struct{})
		go func() { counter++; close(done) }()
		counter++
		<-done
	}
	return counter, nil
})

// onEach has a task on each of the other ranks.
func onEach(ctx context.Context, ex futures.Executor) error {
	f, err := futures.SubmitEach(ex, task, 1)
	if err == nil {
		_, err = f.Result(ctx)
	}
	return err
}

type status int

func (s status) Error() string { return fmt.Sprintf("told to end with status %d", int(s)) }
func (s status) ExitCode() int { return int(s) }

func run(ctx context.Context) error {
	err := futures.With(ctx, onEach)
	var code int
	if _, scanErr := fmt.Sscan(os.Args[4], &code); scanErr != nil || err != nil || code == 0 {
		return err
	}
	return status(code)
}

// tests are what a test binary runs.
type tests struct{}

func (tests) Run() int {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

var forms = map[string]func(){
	"Main":     func() { futures.Main(run) },
	"TestMain": func() { futures.TestMain(tests{}) },
}

func main() {
	if os.Args[2] == "hangs" {
		C.register_hang()
	} else {
		C.register_say()
	}
	forms[os.Args[1]]()
}
