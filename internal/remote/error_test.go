package remote_test

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rankpool/rankpool/internal/remote"
)

func TestTheLineTellsWhatFailedAndWhere(t *testing.T) {
	cause := errors.New("no such row")
	for want, at := range map[string]remote.Error{
		"juliaLine failed on worker 3 (rank 4, node7, pid 99): no such row": {Func: "juliaLine", Worker: 3, Rank: 4, Host: "node7", Pid: 99},
		"juliaLine failed on worker 0 (node7): no such row":                 {Func: "juliaLine", Rank: -1, Host: "node7"},
		"a worker failed on worker 1: no such row":                          {Worker: 1, Rank: -1},
	} {
		e := remote.New(at, across(t, cause))
		if e.Error() != want || fmt.Sprint(e) != want || fmt.Sprintf("%s", e) != want {
			t.Errorf("got  %v\nwant %s", e, want)
		}
		if got := fmt.Sprintf("%q", e); got != fmt.Sprintf("%q", want) {
			t.Errorf("%%q: %s", got)
		}
	}
}

func TestPlusVAddsTheCausesAndTheStack(t *testing.T) {
	p := remote.Recovered(&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, []byte("goroutine 7 [running]:\nmain.f()\n"))
	e := remote.New(remote.Error{Func: "f", Worker: 2, Rank: -1, Host: "h"}, across(t, fmt.Errorf("row 5: %w", p))).(*remote.Error)
	want := `f failed on worker 2 (h): row 5: panic: open x: no such file or directory (*fs.PathError)
  *fmt.wrapError: row 5: panic: open x: no such file or directory (*fs.PathError)
    *remote.PanicError: panic: open x: no such file or directory (*fs.PathError)
      *fs.PathError: open x: no such file or directory
        syscall.Errno: no such file or directory
stack on worker 2 (h):
goroutine 7 [running]:
main.f()`
	if d := cmp.Diff(want, fmt.Sprintf("%+v", e)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if e.Type != "*fmt.wrapError" || e.Message != "row 5: panic: open x: no such file or directory (*fs.PathError)" {
		t.Errorf("Type %q, Message %q", e.Type, e.Message)
	}
}

func TestAnErrorOfAnotherPoolTravelsOn(t *testing.T) {
	inner := remote.New(remote.Error{Func: "f", Worker: 2, Workers: 5, Rank: 1, Host: "h", Pid: 4, Thread: true}, remote.Recovered(fs.ErrExist, []byte("s")))
	got, ok := across(t, inner).(*remote.Error)
	if !ok {
		t.Fatal("it is another type now")
	}
	if d := cmp.Diff(inner, error(got), cmpopts.IgnoreFields(remote.Error{}, "Cause")); d != "" {
		t.Errorf("(-sent +arrived):\n%s", d)
	}
	if !errors.Is(got, fs.ErrExist) {
		t.Error("errors.Is does not find the cause")
	}
}

func TestNewWithoutACauseSaysSo(t *testing.T) {
	if got := remote.New(remote.Error{Func: "f", Rank: -1}, nil).Error(); got != "f failed on worker 0: no error was sent" {
		t.Error(got)
	}
}

func BenchmarkAcross(b *testing.B) {
	for name, err := range map[string]error{
		"plain": errors.New("no such row"),
		"path":  fmt.Errorf("row 5: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = remote.Append(buf[:0], err)
				if _, _, problem := remote.Decode(buf); problem != nil {
					b.Fatal(problem)
				}
			}
		})
	}
}
