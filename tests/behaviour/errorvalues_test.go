package behaviour_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// Outcome has errors wherever a value can have some.
type Outcome struct {
	Y      int
	Err    error
	List   []error
	ByName map[string]error
	Any    any
	Deep   *Outcome
}

var outcome = futures.Register("outcome", func(o Outcome) (Outcome, error) { return o, nil })

func TestAnErrorInsideAValueTravelsAsOneThatIsReturned(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		path := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
		sent := Outcome{
			Y: 3, Err: errors.New("did not converge"), List: []error{nil, fmt.Errorf("row 5: %w", io.ErrUnexpectedEOF), path},
			ByName: map[string]error{"a": errors.Join(io.EOF, path)}, Any: fmt.Errorf("any: %w", fs.ErrPermission),
		}
		sent.Deep = &Outcome{Err: path}
		sent.Deep.Deep = sent.Deep // a cycle of pointers
		got := result(t, submit(t, ex, outcome, sent))
		inAny, _ := got.Any.(error)
		asPath := new(fs.PathError)
		switch {
		case got.Y != 3 || got.Err == nil || got.Err.Error() != "did not converge":
			t.Errorf("%+v", got)
		case len(got.List) != 3 || got.List[0] != nil || !errors.Is(got.List[1], io.ErrUnexpectedEOF) || got.List[1].Error() != "row 5: unexpected EOF":
			t.Errorf("in a slice: %v", got.List)
		case !errors.Is(got.ByName["a"], io.EOF) || !errors.As(got.ByName["a"], &asPath) || asPath.Path != "x":
			t.Errorf("in a map: %v", got.ByName)
		case !errors.Is(inAny, fs.ErrPermission):
			t.Errorf("in an any: %v", got.Any)
		case got.Deep.Deep != got.Deep || !errors.Is(got.Deep.Err, fs.ErrNotExist):
			t.Errorf("in a cycle: %v", got.Deep)
		}
	})
}

// traced is an error that carries a stack.
type traced struct{ stack string }

func (e *traced) Error() string { return "did not converge" }
func (e *traced) Stack() string { return e.stack }

var diverge = futures.Register("diverge", func(row int) (int, error) {
	return 0, fmt.Errorf("row %d: %w", row, &traced{string(debug.Stack())})
})

func TestTheStackThatAReturnedErrorCarriesComesBackWithIt(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		_, single := submit(t, ex, diverge, 5).Result(within(t))
		var element error
		for _, element = range futures.Map(within(t), ex, diverge, []int{5}) {
			break
		}
		for _, err := range []error{single, element} {
			if own, ok := errors.AsType[*traced](err); ok && b.shares { // the very value that the task returned
				if !strings.Contains(own.Stack(), "behaviour_test") {
					t.Errorf("the stack is %q", own.Stack())
				}
				continue
			}
			e, ok := errors.AsType[*futures.RemoteError](err)
			if !ok || !strings.Contains(e.Stack, "behaviour_test") || e.Message != "row 5: did not converge" {
				t.Fatalf("%T %v", err, err)
			}
			if long := fmt.Sprintf("%+v", e); !strings.Contains(long, "stack on ") || !strings.Contains(long, "behaviour_test.init") {
				t.Errorf("%%+v shows\n%s", long)
			}
		}
	})
}
