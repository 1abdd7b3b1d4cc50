package futures_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// What the race detector is to find: the future of an overdue call is done while the call can still write its result.
func TestACallMayReturnAfterItsFutureWasGivenUp(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	deaf := futures.Local(func(context.Context, int) (int, error) {
		<-release
		return 1, nil
	})
	f, err := futures.Submit(ex, deaf, 0, futures.WithTaskTimeout(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Result(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
}
