package futures_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/status"
	"github.com/rankpool/rankpool/internal/testkit"
)

// When its workers have left nothing else tells why it broke.
func TestABrokenExecutorStaysInTheStatus(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1), futures.WithExecutable("/does/not/exist"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ex.Bootup(testkit.Within(t)); !errors.Is(err, futures.ErrBroken) {
		t.Fatal(err)
	}
	_ = ex.Close()
	var e status.Executor
	testkit.Until(t, "it has ended", func() bool {
		all := life.Status(10).Executors
		i := slices.IndexFunc(all, func(e status.Executor) bool { return strings.Contains(e.Error, "/does/not/exist") })
		if i < 0 {
			return false
		}
		e = all[i]
		return !e.Ended.IsZero()
	})
	if e.State != "broken" || e.Number == 0 || e.Ended.Before(e.Begun) {
		t.Errorf("%+v", e)
	}
	p := life.Status(10)
	if text := p.Text(status.Limits{}); !strings.Contains(text, ": processes, broken, ended ") || !strings.Contains(text, "/does/not/exist") {
		t.Error(text)
	}
}
