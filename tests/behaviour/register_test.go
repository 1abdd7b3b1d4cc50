package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// What was tried before Main, where registering works: each name once, and then again.
var (
	triedFunc, _    = futures.TryRegister("try.func", func(x int) (int, error) { return x + 1, nil })
	triedContext, _ = futures.TryRegisterContext("try.context", func(ctx context.Context, x int) (int, error) {
		g, err := triedGlobal.Get(ctx)
		if err != nil {
			return 0, err
		}
		s, err := triedState.Get(ctx)
		return x + g + s, err
	})
	triedGlobal, _ = futures.TryRegisterGlobal[int]("try.global")
	triedState, _  = futures.TryRegisterState("try.state", func(context.Context) (int, error) { return 100, nil }, nil)

	refusedNames = tryAgain()
)

func tryAgain() map[string]error {
	_, _, _, _ = triedFunc, triedContext, triedGlobal, triedState // they come first
	all := map[string]error{}
	_, all[`function "try.func"`] = futures.TryRegister("try.func", func(x int) (int, error) { return x, nil })
	_, all[`function "try.context"`] = futures.TryRegisterContext("try.context", func(_ context.Context, x int) (int, error) { return x, nil })
	_, all[`global "try.global"`] = futures.TryRegisterGlobal[int]("try.global")
	_, all[`state "try.state"`] = futures.TryRegisterState("try.state", func(context.Context) (int, error) { return 0, nil }, nil)
	return all
}

func TestWhatIsTriedToBeRegisteredWorks(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if v := result(t, submit(t, ex, triedFunc, 1)); v != 2 {
			t.Error(v)
		}
		if v := result(t, submit(t, ex, triedContext, 1)); v != 111 {
			t.Error(v)
		}
	}, futures.WithGlobal(triedGlobal, 10))
}

func TestANameThatIsTakenNamesBothPlacesWhetherItPanicsOrNot(t *testing.T) {
	if len(refusedNames) != 4 {
		t.Fatal(refusedNames)
	}
	for what, err := range refusedNames {
		if text := fmt.Sprint(err); !strings.HasPrefix(text, "futures: "+what+" is registered twice: first at ") || strings.Count(text, "register_test.go:") != 2 {
			t.Errorf("%s: %s", what, text)
		}
	}
}

func TestWhatIsTriedWithoutAFunctionOrTooLateIsAnError(t *testing.T) {
	late := map[string]error{}
	_, late["Register"] = futures.TryRegister("try.late", func(x int) (int, error) { return x, nil })
	_, late["RegisterContext"] = futures.TryRegisterContext("try.late", func(_ context.Context, x int) (int, error) { return x, nil })
	_, late["RegisterGlobal"] = futures.TryRegisterGlobal[int]("try.late")
	_, late["RegisterState"] = futures.TryRegisterState("try.late", func(context.Context) (int, error) { return 0, nil }, nil)
	for name, err := range late {
		if !contains(err, "registered too late, at ") || !contains(err, "register_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, e1 := futures.TryRegister[int, int]("try.nil", nil)
	_, e2 := futures.TryRegisterContext[int, int]("try.nil", nil)
	_, e3 := futures.TryRegisterState[int]("try.nil", nil, nil)
	for _, err := range []error{e1, e2, e3} {
		if !contains(err, "try.nil") || errors.Unwrap(err) != nil {
			t.Error(err)
		}
	}
}
