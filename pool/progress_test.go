package pool_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// slow takes ten seconds for each element.
var slow = futures.Local(func(_ context.Context, x int) (int, error) {
	time.Sleep(10 * time.Second)
	if x < 0 {
		return 0, errors.New("below zero")
	}
	return x, nil
})

// threads returns a pool of one goroutine.
func threads(t *testing.T) *pool.Pool {
	t.Helper()
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	return pool.On(ex)
}

func TestProgressIsALineEveryFiveSecondsWhereThereIsNoTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := threads(t)
		var out strings.Builder
		ys, err := pool.Map(t.Context(), p, slow, []int{1, 2, 3}, pool.WithChunkSize(1), pool.WithProgress(&out))
		if err != nil || len(ys) != 3 {
			t.Error(ys, err)
		}
		if err := p.Join(t.Context()); err != nil {
			t.Error(err)
		}
		// What arrives at the very moment of a line may be in it or not.
		lines := regexp.MustCompile(`(?m)^.*(10|20|30)s elapsed.*\n`).ReplaceAllString(strings.TrimSuffix(out.String(), last(out.String())), "")
		want := "Map: 0/3 (0%), 0.0/s, 5s elapsed\n" +
			"Map: 1/3 (33%), 0.1/s, 15s elapsed, 30s left\n" +
			"Map: 2/3 (66%), 0.1/s, 25s elapsed, 13s left\n"
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
		if got, want := last(out.String()), "Map: 3/3 (100%), 0.1/s, 30s elapsed\n"; got != want {
			t.Errorf("the last line is %q, want %q", got, want)
		}
	})
}

// last returns the last line.
func last(s string) string {
	return s[strings.LastIndexByte(strings.TrimSuffix(s, "\n"), '\n')+1:]
}

// A verb waits a second for the last line, and no longer: on a busy machine that may be too short.
func TestProgressOfEveryForm(t *testing.T) { synctest.Test(t, testEveryForm) }

func testEveryForm(t *testing.T) {
	p := threads(t)
	ctx := t.Context()
	double := futures.Local(func(_ context.Context, x int) (int, error) { return 2 * x, nil })
	in := []int{1, 2, 3, 4, 5}
	seq := slices.Values(in)
	each := func(results func(func(int, error) bool)) {
		for _, err := range results {
			if err != nil {
				t.Error(err)
			}
		}
	}
	get := func(r *pool.MapResult[int], err error) {
		if err == nil {
			_, err = r.Get(ctx)
		}
		if err != nil {
			t.Error(err)
		}
	}
	for verb, run := range map[string]func(o futures.AnyMapOption){
		"Map: 5/5":               func(o futures.AnyMapOption) { _, _ = pool.Map(ctx, p, double, in, o) },
		"Starmap: 5/5":           func(o futures.AnyMapOption) { _, _ = pool.Starmap(ctx, p, double, in, o) },
		"MapAsync: 5/5":          func(o futures.AnyMapOption) { get(pool.MapAsync(ctx, p, double, in, o)) },
		"StarmapAsync: 5/5":      func(o futures.AnyMapOption) { get(pool.StarmapAsync(ctx, p, double, in, o)) },
		"Imap: 5/5":              func(o futures.AnyMapOption) { each(pool.Imap(ctx, p, double, in, o)) },
		"Istarmap: 5/5":          func(o futures.AnyMapOption) { each(pool.Istarmap(ctx, p, double, in, o)) },
		"ImapUnordered: 5/5":     func(o futures.AnyMapOption) { each(pool.ImapUnordered(ctx, p, double, in, o)) },
		"IstarmapUnordered: 5/5": func(o futures.AnyMapOption) { each(pool.IstarmapUnordered(ctx, p, double, in, o)) },
		"Imap: 5,":               func(o futures.AnyMapOption) { each(pool.Imap(ctx, p, double, seq, o)) }, // of a length nobody knows
		"Map: 0/0 (100%),":       func(o futures.AnyMapOption) { _, _ = pool.Map(ctx, p, double, []int{}, o) },
	} {
		var out strings.Builder
		run(pool.WithProgress(&out))
		if !strings.HasPrefix(out.String(), verb) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q, want one line that begins with %q", out.String(), verb)
		}
		run(pool.WithProgress(nil))
	}
	if err := p.Join(ctx); err != nil {
		t.Error(err)
	}
}

// faulty is a writer that fails, and counts how often it was used.
type faulty struct {
	mu    sync.Mutex
	calls int
}

func (f *faulty) Write([]byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return 0, errors.New("disk full")
}

func TestProgressThatCannotBeWrittenHarmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := threads(t)
		var out faulty
		if ys, err := pool.Map(t.Context(), p, slow, []int{1, 2, 3}, pool.WithProgress(&out)); err != nil || len(ys) != 3 {
			t.Error(ys, err)
		}
		if err := p.Join(t.Context()); err != nil || out.calls != 1 {
			t.Errorf("%v; it was used %d times", err, out.calls)
		}
	})
}

func TestProgressEndsWithAnErrorAndWithAReaderWhoStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := threads(t)
		var out strings.Builder
		if _, err := pool.Map(t.Context(), p, slow, []int{1, -1, 3}, pool.WithChunkSize(1), pool.WithProgress(&out)); err == nil {
			t.Error("no error")
		}
		if got, want := last(out.String()), "Map: 2/3 (66%), 1 failed, 0.1/s, 20s elapsed, 10s left\n"; got != want {
			t.Errorf("the last line is %q, want %q", got, want)
		}
		out.Reset()
		for range pool.Imap(t.Context(), p, slow, []int{1, 2, 3, 4}, pool.WithProgress(&out)) {
			break
		}
		if got := last(out.String()); !strings.HasPrefix(got, "Imap: 1/4 (25%)") && !strings.HasPrefix(got, "Imap: 2/4 (50%)") {
			t.Errorf("the last line is %q", got)
		}
		if err := p.Join(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
