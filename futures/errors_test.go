package futures_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestAMismatchTellsTheFirstDifferenceAndWhatToDo(t *testing.T) {
	one := &futures.MismatchError{Worker: 3, Host: "node7", Diff: "- only the master has  f(int) string"}
	want := "worker 3 on node7 runs a different program: only the master has f(int) string; start every process from the same executable, rebuilt and copied to every host"
	if one.Error() != want || fmt.Sprint(one) != want {
		t.Errorf("got %v", one)
	}
	many := &futures.MismatchError{Worker: 3, Diff: one.Diff + "\n~ build: master 1, worker 2\n~ Go version: master 1, worker 2\n  (source: x)"}
	for _, w := range []string{"worker 3 runs", "f(int) string (and 2 more differences);"} {
		if !strings.Contains(many.Error(), w) || strings.Contains(many.Error(), "\n") {
			t.Errorf("got %v, want one with %q", many, w)
		}
	}
	if got := fmt.Sprintf("%+v", many); got != many.Error()+"\n"+many.Diff {
		t.Errorf("%%+v: %s", got)
	}
	if _, ok := errors.AsType[*futures.MismatchError](fmt.Errorf("start: %w", many)); !ok {
		t.Error("errors.As does not find it")
	}
}
