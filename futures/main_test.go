package futures_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Each makes this binary a program that a test sends a signal.
const (
	closingVariable  = "RANKPOOLTEST_CLOSING"
	ignoringVariable = "RANKPOOLTEST_IGNORING"
)

func TestMain(m *testing.M) {
	if os.Getenv(closingVariable) != "" || os.Getenv(ignoringVariable) != "" {
		futures.Main(func(context.Context) error {
			if m.Run() != 0 {
				return errors.New("the test has failed")
			}
			return nil
		})
	}
	futures.TestMain(testkit.Checked(m))
}

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
