package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// poolErrors are errors of this module that a task may meet when it uses a pool of its own.
var poolErrors = []error{
	&futures.BrokenError{Worker: 2, Workers: 4, Host: "h", Pid: 7, Rank: -1, Thread: true, Task: "f", Cause: io.ErrUnexpectedEOF},
	&futures.PeerError{Worker: 1, Reason: "killed"},
	&futures.MismatchError{Worker: 1, Host: "h", Diff: "- only the master has  f"},
	&futures.ShutdownError{
		Running: []futures.RunningTask{{Func: "f", Worker: 3, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}, Cause: context.Canceled,
	},
	&futures.PanicError{Value: "oh", Type: "string", Stack: "s"},
	&futures.RemoteError{Func: "f", Worker: 2, Workers: 3, Rank: 1, Host: "h", Pid: 4, Thread: true, Type: "T", Message: "EOF", Cause: io.EOF},
}

var failWith = futures.Register("failWith", func(i int) (int, error) { return 0, fmt.Errorf("inner: %w", poolErrors[i]) })

// sameCause compares causes by identity: all of them are sentinels.
var sameCause = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Cause" }, cmp.Comparer(func(a, b error) bool { return a == b }))

func TestErrorsOfAPoolInsideATaskKeepTheirTypesAndFields(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for i, sent := range poolErrors {
			_, err := submit(t, ex, failWith, i).Result(within(t))
			for remote := new(futures.RemoteError); errors.As(err, &remote) && remote.Func == "failWith"; {
				err = remote.Cause
			}
			got := errors.Unwrap(err)
			if d := cmp.Diff(sent, got, sameCause); d != "" {
				t.Errorf("%T arrives as %T (-sent +arrived):\n%s", sent, got, d)
			}
		}
		_, err := submit(t, ex, failWith, 0).Result(within(t))
		if !errors.Is(err, futures.ErrBroken) {
			t.Error("a BrokenError that has travelled does not match ErrBroken")
		}
	})
}

func TestAFailureTellsTheWorkerAndHowManyThereAre(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		_, err := submit(t, ex, failWith, 1).Result(within(t))
		if remote := new(futures.RemoteError); !errors.As(err, &remote) || remote.Workers != 2 || remote.Worker < 0 || remote.Worker > 1 {
			t.Errorf("%#v", err)
		}
	}, encodes)
}

var panicsAtStart = futures.Register("panicsAtStart", func(struct{}) (struct{}, error) { panic("no licence") })

func TestAPanicInAnInitializerNamesTheFunctionAndShowsItsStack(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, err := b.make(futures.WithMaxWorkers(1), futures.WithInitializer(panicsAtStart, struct{}{}))
		if err != nil {
			t.Fatal(err)
		}
		defer ex.Close()
		_, err = submit(t, ex, square, 1).Result(within(t))
		if err == nil || !strings.Contains(err.Error(), "panicsAtStart") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		if s := fmt.Sprintf("%+v", err); !strings.Contains(s, "errortypes_test.go") {
			t.Errorf("%%+v shows no stack: %s", s)
		}
	}, encodes)
}
