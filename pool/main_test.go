package pool_test

import (
	"os"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // workers with the race detector would linger for a second each
	futures.TestMain(testkit.Checked(m))
}
