package futures_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

// recorded returns the events of a recording.
func recorded(t *testing.T, path string) (all []trace.Event) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, cut, err := trace.Read(f, func(e *trace.Event) error { all = append(all, *e); return nil }); cut || err != nil {
		t.Fatal(cut, err)
	}
	return all
}

var notThirteen = futures.Register("trace.notthirteen", func(x int) (int, error) {
	if x%13 == 0 {
		return 0, errors.New("thirteen")
	}
	return x, nil
})

// A chunk has one time for all of its elements, and each failure its own.
func TestARecordingNamesTheElementsOfAChunkThatHaveFailed(t *testing.T) {
	for name, start := range map[string]func(...futures.Option) (futures.Executor, error){
		"threads": func(o ...futures.Option) (futures.Executor, error) { return futures.NewThreadPoolExecutor(o...) },
		"processes": func(o ...futures.Option) (futures.Executor, error) {
			return futures.NewProcessPoolExecutor(o...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "recording")
			ex, err := start(futures.WithMaxWorkers(2), futures.WithTrace(path))
			if err != nil {
				t.Fatal(err)
			}
			xs := make([]int, 60)
			for i := range xs {
				xs[i] = i + 1
			}
			for _, err := range futures.Map(t.Context(), ex, notThirteen, xs, futures.WithChunkSize(30)) {
				_ = err // it is the recording that counts
			}
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
			var failed []int
			for _, e := range recorded(t, path) {
				if e.Kind == trace.UnitFailed && strings.HasSuffix(e.Text, "thirteen") {
					failed = append(failed, e.First)
				}
			}
			slices.Sort(failed)
			if diff := cmp.Diff([]int{12, 25, 38, 51}, failed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A shutdown that does not wait comes back before the workers have left.
func TestARecordingEndsAfterTheWorkersHaveLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2), futures.WithTrace(path))
	if err != nil {
		t.Fatal(err)
	}
	f, err := futures.Submit(ex, notThirteen, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ResultWithin(testkit.Limit); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_ = ex.Shutdown(over)
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	starting, left := 0, 0
	for _, e := range recorded(t, path) {
		if e.Kind == trace.WorkerIs && e.Phase == trace.Starting {
			starting++
		}
		if e.Kind == trace.WorkerIs && e.Phase == trace.Left {
			left++
		}
	}
	if starting == 0 || left != starting {
		t.Errorf("%d workers were started, %d have left", starting, left)
	}
}
