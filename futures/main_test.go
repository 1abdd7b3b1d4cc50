package futures_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/futures"
)

// checked runs the tests and then looks for goroutines that outlived them. It runs in the master only.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	ignore := goleak.IgnoreCurrent() // Main's own
	status := c.m.Run()
	if status != 0 {
		return status
	}
	if err := goleak.Find(ignore); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) { futures.TestMain(checked{m}) }

func TestNothingIsRegisteredAfterMainHasBegun(t *testing.T) {
	for name, register := range map[string]func(){
		"function": func() { futures.Register("late", func(int) (int, error) { return 0, nil }) },
		"sentinel": func() { _ = futures.RegisterSentinel("late", errors.New("late")) },
		"global":   func() { futures.RegisterGlobal[int]("late") },
		"type":     func() { futures.RegisterType[late]("late") },
		"error":    func() { futures.RegisterError[*late]("late") },
	} {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, "registered too late, at") || !strings.Contains(v, "main_test.go") {
					t.Errorf("%s: %s", name, v)
				}
			}()
			register()
		}()
	}
}

type late struct{}

func (*late) Error() string { return "late" }
