package resultlog_test

import (
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(holderVariable); path != "" {
		holdLog(path)
		return
	}
	if path := os.Getenv(childVariable); path != "" {
		recordUntilKilled(path)
		return
	}
	testkit.Main(m)
}
