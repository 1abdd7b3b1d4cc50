// Package pool_test is the suite of package pool's behaviours, run over every kind of worker from one table.
//
// Built with -tags mpi, the suite starts itself again under an mpiexec, once with ranks that serve and once with workers
// that are spawned.
package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/pool"
	"github.com/rankpool/rankpool/threadpool"
)

// limit bounds every wait.
var limit = testkit.Limit

// workers are in every pool: ranks cannot be more than there are.
const workers = 2

// underMPI is set in the runs that the suite starts under an mpiexec: it names the way.
const underMPI = "POOL_SUITE_MPI"

// backend is one kind of pool.
type backend struct {
	name    string
	env     string // RANKPOOL_BACKEND
	make    func(...pool.Option) (*pool.Pool, error)
	reports string // what Backend says
	shares  bool   // arguments are shared
	mortal  bool   // a worker can be killed without harm to the others, and is replaced
}

// backends returns the table.
func backends() []backend {
	if way := os.Getenv(underMPI); way != "" {
		return []backend{{name: way, env: "mpi", make: pool.New, reports: "mpi"}}
	}
	return []backend{
		{name: "thread pool", make: threadpool.New, reports: "threads", shares: true},
		{name: "threads", env: "threads", make: pool.New, reports: "threads"},
		{name: "processes", env: "processes", make: pool.New, reports: "processes", mortal: true},
	}
}

// each runs a test over every backend.
func each(t *testing.T, test func(t *testing.T, b backend)) {
	t.Helper()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			if b.env != "" {
				t.Setenv("RANKPOOL_BACKEND", b.env)
			}
			test(t, b)
		})
	}
}

// on runs a test over every backend with a pool.
func on(t *testing.T, test func(t *testing.T, p *pool.Pool), opts ...pool.Option) {
	t.Helper()
	each(t, func(t *testing.T, b backend) { test(t, b.start(t, opts...)) })
}

// start returns a pool that the end of the test terminates and joins.
func (b backend) start(t *testing.T, opts ...pool.Option) *pool.Pool {
	t.Helper()
	p, err := b.make(append([]pool.Option{pool.WithProcesses(workers)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Terminate()
		if err := p.Join(within(t)); err != nil && !errors.Is(err, futures.ErrBroken) { // of which a test of that has heard
			t.Error(err)
		}
	})
	return p
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func join(t *testing.T, p *pool.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.Join(ctx); err != nil {
		t.Error(err)
	}
}

// await fails the test unless the channel is closed in time.
func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(limit):
		t.Fatalf("not within %v: %s", limit, what)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// form is one of the eight verbs that map.
type form struct {
	name      string
	list      bool // returns all results
	unordered bool
	run       func(ctx context.Context, p *pool.Pool, fn futures.Func[job, int], xs any, opts ...futures.AnyMapOption) ([]int, error)
}

var forms = []form{
	{name: "Map", list: true, run: listForm(pool.Map[job, int, []job], pool.Map[job, int, iter.Seq[job]])},
	{name: "Starmap", list: true, run: listForm(pool.Starmap[job, int, []job], pool.Starmap[job, int, iter.Seq[job]])},
	{name: "MapAsync", list: true, run: asyncForm(pool.MapAsync[job, int, []job], pool.MapAsync[job, int, iter.Seq[job]])},
	{name: "StarmapAsync", list: true,
		run: asyncForm(pool.StarmapAsync[job, int, []job], pool.StarmapAsync[job, int, iter.Seq[job]])},
	{name: "Imap", run: lazyForm(pool.Imap[job, int, []job], pool.Imap[job, int, iter.Seq[job]])},
	{name: "Istarmap", run: lazyForm(pool.Istarmap[job, int, []job], pool.Istarmap[job, int, iter.Seq[job]])},
	{name: "ImapUnordered", unordered: true,
		run: lazyForm(pool.ImapUnordered[job, int, []job], pool.ImapUnordered[job, int, iter.Seq[job]])},
	{name: "IstarmapUnordered", unordered: true,
		run: lazyForm(pool.IstarmapUnordered[job, int, []job], pool.IstarmapUnordered[job, int, iter.Seq[job]])},
}

type (
	runner              = func(context.Context, *pool.Pool, futures.Func[job, int], any, ...futures.AnyMapOption) ([]int, error)
	verb[S, Result any] = func(context.Context, *pool.Pool, futures.Func[job, int], S, ...pool.ImapOption) Result
	listVerb[S any]     = func(context.Context, *pool.Pool, futures.Func[job, int], S, ...pool.MapOption) ([]int, error)
	asyncVerb[S any]    = func(context.Context, *pool.Pool, futures.Func[job, int], S, ...pool.MapOption) (*pool.MapResult[int], error)
)

// as turns options for any verb into those of some.
func as[O any](opts []futures.AnyMapOption) []O {
	own := make([]O, len(opts))
	for i, o := range opts {
		own[i], _ = any(o).(O) // nil remains nil
	}
	return own
}

func listForm(slice listVerb[[]job], seq listVerb[iter.Seq[job]]) runner {
	return func(ctx context.Context, p *pool.Pool, fn futures.Func[job, int], xs any, opts ...futures.AnyMapOption) ([]int, error) {
		if s, ok := xs.([]job); ok {
			return slice(ctx, p, fn, s, as[pool.MapOption](opts)...)
		}
		return seq(ctx, p, fn, xs.(iter.Seq[job]), as[pool.MapOption](opts)...)
	}
}

func asyncForm(slice asyncVerb[[]job], seq asyncVerb[iter.Seq[job]]) runner {
	return func(ctx context.Context, p *pool.Pool, fn futures.Func[job, int], xs any, opts ...futures.AnyMapOption) ([]int, error) {
		var r *pool.MapResult[int]
		var err error
		if s, ok := xs.([]job); ok {
			r, err = slice(ctx, p, fn, s, as[pool.MapOption](opts)...)
		} else {
			r, err = seq(ctx, p, fn, xs.(iter.Seq[job]), as[pool.MapOption](opts)...)
		}
		if err != nil {
			return nil, err
		}
		return r.Get(context.Background()) // bounded by ctx
	}
}

func lazyForm(slice verb[[]job, iter.Seq2[int, error]], seq verb[iter.Seq[job], iter.Seq2[int, error]]) runner {
	return func(ctx context.Context, p *pool.Pool, fn futures.Func[job, int], xs any, opts ...futures.AnyMapOption) ([]int, error) {
		var results iter.Seq2[int, error]
		if s, ok := xs.([]job); ok {
			results = slice(ctx, p, fn, s, as[pool.ImapOption](opts)...)
		} else {
			results = seq(ctx, p, fn, xs.(iter.Seq[job]), as[pool.ImapOption](opts)...)
		}
		var all []int
		var failed error
		for y, err := range results {
			if failed != nil {
				return all, fmt.Errorf("something follows the error %w: %d, %w", failed, y, err)
			}
			if failed = err; err == nil {
				all = append(all, y)
			}
		}
		return all, failed
	}
}

// eachForm runs a test over every backend and each of the eight verbs, all with one pool.
func eachForm(t *testing.T, test func(t *testing.T, p *pool.Pool, f form), opts ...pool.Option) {
	t.Helper()
	on(t, func(t *testing.T, p *pool.Pool) {
		for _, f := range forms {
			t.Run(f.name, func(t *testing.T) { test(t, p, f) })
		}
	}, opts...)
}

// job is what most tests have workers do.
type job struct {
	X     int
	Marks marks  // leave one when it begins
	Gate  gate   // wait for this, or for the end of the context
	Die   bool   // end the worker
	Env   string // in an initializer: what to remember
}

// InputError is an error with a field, to see that it arrives whole.
type InputError struct{ X int }

func (e *InputError) Error() string { return fmt.Sprintf("%d is below zero", e.X) }

var (
	_ = futures.RegisterError[*InputError]("InputError")

	work = futures.RegisterContext("work", func(ctx context.Context, j job) (int, error) {
		if err := j.Marks.leave(strconv.Itoa(j.X)); err != nil {
			return 0, err
		}
		if j.Die {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return 0, err
			}
			select {}
		}
		if err := j.Gate.pass(ctx); err != nil {
			return 0, err
		}
		if j.X < 0 {
			return 0, &InputError{j.X}
		}
		return j.X * j.X, nil
	})
	add = futures.Register("add", futures.Spread(func(x, y int) (int, error) { return x + y, nil }))

	initialize = futures.Register("initialize", func(j job) (bool, error) {
		if j.X < 0 {
			return false, &InputError{j.X}
		}
		return true, j.Marks.leave(fmt.Sprint(os.Getpid(), time.Now().UnixNano()))
	})
)

// jobs returns n jobs, numbered from 0.
func jobs(n int) []job {
	js := make([]job, n)
	for i := range js {
		js[i].X = i
	}
	return js
}

// waiting returns jobs that leave marks and wait for a gate.
func waiting(n int, m marks, g gate) []job {
	js := jobs(n)
	for i := range js {
		js[i].Marks, js[i].Gate = m, g
	}
	return js
}

// squares is what n jobs give.
func squares(n int) []int {
	ys := make([]int, n)
	for i := range ys {
		ys[i] = i * i
	}
	return ys
}

// sorted puts results of a verb that does not in order.
func (f form) sorted(ys []int) []int {
	if f.unordered {
		slices.Sort(ys)
	}
	return ys
}

// gate is a file that jobs wait for to go, in whatever process they are.
type gate string

func newGate(t *testing.T) gate {
	t.Helper()
	f, err := os.CreateTemp(scratch, "gate")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := gate(f.Name())
	t.Cleanup(g.open)
	return g
}

func (g gate) open() { os.Remove(string(g)) }

func (g gate) pass(ctx context.Context) error {
	if g == "" {
		return nil
	}
	for end := time.Now().Add(2 * limit); time.Now().Before(end); { // longer than any Join waits
		if _, err := os.Stat(string(g)); err != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return errors.New("the gate did not open")
}

// marks is a directory where jobs leave files, to be counted from any process.
type marks string

func newMarks(t *testing.T) marks {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "marks") //nolint:usetesting // it lies where every worker finds it
	if err != nil {
		t.Fatal(err)
	}
	return marks(dir)
}

func (m marks) leave(name string) error {
	if m == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(string(m), name), nil, 0o600)
}

func (m marks) count(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(string(m))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// scratch is where gates and marks are. It outlives each test, because a task that nobody waits for may too.
var scratch string

// scratched gives the tests the folder.
type scratched struct{ m *testing.M }

func (c scratched) Run() int {
	var err error
	if scratch, err = os.MkdirTemp("", "rankpool-pool-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return testkit.Checked(c.m).Run()
}

func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // workers with the race detector would linger for a second each
	futures.TestMain(scratched{m})
}

// quiet silences what the library reports about misbehaving callbacks.
func quiet(t *testing.T) {
	t.Helper()
	futures.SetLogger(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { futures.SetLogger(nil) })
}
