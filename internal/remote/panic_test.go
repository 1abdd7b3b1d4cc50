package remote_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/remote"
)

// caught runs f to its end, whichever, in a goroutine of its own.
func caught(f func()) (p *remote.PanicError) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if v := recover(); !returned {
				p = remote.Recovered(v, debug.Stack()).(*remote.PanicError)
			}
		}()
		f()
		returned = true
	}()
	<-done
	return p
}

type point struct{ X, Y int }

type shouting string

func (s shouting) String() string { return strings.ToUpper(string(s)) }

type rude struct{}

func (rude) String() string { panic("no") }

func TestEveryWayToPanicHasItsText(t *testing.T) {
	var cyclic any
	loop := map[string]any{}
	loop["self"] = loop
	cyclic = loop
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"string":          {func() { panic("boom") }, "panic: boom"},
		"int":             {func() { panic(3) }, "panic: 3 (int)"},
		"struct":          {func() { panic(point{1, 2}) }, "panic: {X:1 Y:2} (remote_test.point)"},
		"pointer":         {func() { panic(&point{1, 2}) }, "panic: &{X:1 Y:2} (*remote_test.point)"},
		"Stringer":        {func() { panic(shouting("hey")) }, "panic: HEY (remote_test.shouting)"},
		"String panics":   {func() { panic(rude{}) }, "panic: %!v(PANIC=String method: no) (remote_test.rude)"},
		"error":           {func() { panic(io.EOF) }, "panic: EOF (*errors.errorString)"},
		"Error panics":    {func() { panic(&bomb{1}) }, "panic: *remote_test.bomb (its Error method panicked: 1) (*remote_test.bomb)"},
		"cyclic map":      {func() { panic(cyclic) }, "panic: map[string]interface {} (too large or too deep to print) (map[string]interface {})"},
		"nil dereference": {func() { var p *point; p.X = 1 }, "panic: runtime error: invalid memory address or nil pointer dereference (runtime.errorString)"},
		"index":           {func() { s := []int{}; s[len(s)]++ }, "panic: runtime error: index out of range [0] with length 0 (runtime.boundsError)"},
		"nil":             {func() { panic(nil) }, "panic: " + new(runtime.PanicNilError).Error() + " (*runtime.PanicNilError)"},
		"Goexit":          {runtime.Goexit, "runtime.Goexit was called, so there is no result: return an error instead (FailNow, Fatal and SkipNow of package testing call it too)"},
	} {
		p := caught(c.f)
		// The runtime has more than one type for bad addresses.
		text := strings.Replace(p.Error(), "runtime.errorAddressString", "runtime.errorString", 1)
		if text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, text, c.want)
		}
		got := across(t, p)
		q, ok := got.(*remote.PanicError)
		if !ok || got.Error() != p.Error() || q.Stack != p.Stack || q.Type != p.Type || q.Goexit != p.Goexit {
			t.Errorf("%s: arrived as %#v", name, got)
		}
		if p.Goexit != (name == "Goexit") {
			t.Errorf("%s: Goexit is %v", name, p.Goexit)
		}
		if !strings.Contains(fmt.Sprintf("%+v", got), "panic_test.go") || strings.Contains(fmt.Sprintf("%v", got), "goroutine") {
			t.Errorf("%s: the stack belongs to %%+v, and only there: %+v", name, got)
		}
	}
}

func TestThePanicOfAnErrorIsThatError(t *testing.T) {
	must(t, remote.RegisterErrorType[*quota]("quota"))
	p := caught(func() { panic(fmt.Errorf("deep: %w", errors.Join(io.ErrClosedPipe, &quota{User: "bob"}))) })
	for side, err := range map[string]error{"here": p, "there": across(t, p)} {
		q, ok := errors.AsType[*quota](err)
		if !errors.Is(err, io.ErrClosedPipe) || !ok || q.User != "bob" {
			t.Errorf("%s: %v", side, err)
		}
	}
	if _, ok := errors.AsType[*runtime.PanicNilError](across(t, caught(func() { panic(nil) }))); !ok {
		t.Error("panic(nil) is not a *runtime.PanicNilError on the other side")
	}
	if _, ok := errors.AsType[runtime.Error](across(t, caught(func() { var p *point; p.X = 1 }))); !ok {
		t.Error("a nil dereference is not a runtime.Error on the other side")
	}
}
