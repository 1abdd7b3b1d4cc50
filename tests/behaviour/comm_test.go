package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// verdict is what a task that checks itself returns.
type verdict struct {
	Rank, Size int
	Wrong      string
}

// killItself is how a process ends that somebody kills.
func killItself() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return p.Kill()
}

var (
	pi = futures.RegisterContext("pi", func(ctx context.Context, n int) (float64, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		h, sum := 1/float64(n), 0.0
		for i := c.Rank() + 1; i <= n; i += c.Size() {
			x := h * (float64(i) - 0.5)
			sum += 4 / (1 + x*x)
		}
		return comm.Allreduce(ctx, c, h*sum, comm.Sum[float64])
	})
	collectives = futures.RegisterContext("collectives", checkCollectives)
	ring        = futures.RegisterContext("ring", func(ctx context.Context, _ int) (verdict, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return verdict{}, err
		}
		n := c.Size()
		if err := comm.Send(ctx, c, c.Rank(), (c.Rank()+1)%n, 7); err != nil {
			return verdict{}, err
		}
		from, err := comm.Recv[int](ctx, c, (c.Rank()+n-1)%n, 7)
		if err == nil && from != (c.Rank()+n-1)%n {
			err = fmt.Errorf("rank %d got %d", c.Rank(), from)
		}
		return verdict{Rank: c.Rank(), Size: n}, err
	})
	barrier = futures.RegisterContext("barrier", func(ctx context.Context, _ int) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return c.Rank(), c.Barrier(ctx)
	})
	deserter = futures.RegisterContext("deserter", func(ctx context.Context, how string) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return 0, deserted(ctx, c, how)
	})
	askComm = futures.RegisterContext("askComm", func(ctx context.Context, _ int) (bool, error) {
		_, err := futures.CommWorkers(ctx)
		return err == nil, err
	})
	wrongType = futures.RegisterContext("wrongType", func(ctx context.Context, _ int) (bool, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return false, err
		}
		if err := comm.Send(ctx, c, int32(1), c.Rank(), 0); err != nil {
			return false, err
		}
		_, err = comm.Recv[int64](ctx, c, comm.AnySource, 0)
		return contains(err, "another type than int64"), nil
	})
	misused = futures.RegisterContext("misused", func(ctx context.Context, _ int) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		for what, err := range map[string]error{
			"a rank that is not there":   comm.Send(ctx, c, 1, c.Size(), 0),
			"a negative rank":            comm.Send(ctx, c, 1, -1, 0),
			"a negative tag":             comm.Send(ctx, c, 1, 0, -1),
			"a channel":                  comm.Send(ctx, c, make(chan int), 0, 0),
			"a root that is not there":   errorOf(comm.Bcast(ctx, c, 1, c.Size())),
			"a negative root":            errorOf(comm.Reduce(ctx, c, 1, comm.Sum[int], -1)),
			"too many elements":          errorOf(comm.Scatter(ctx, c, make([]int, c.Size()+1), c.Rank())),
			"too few elements":           errorOf(comm.Alltoall(ctx, c, make([]int, c.Size()-1))),
			"a source that is not there": errorOf(comm.Recv[int](ctx, c, c.Size(), 0)),
		} {
			if err == nil {
				return what, nil
			}
		}
		return "", nil
	})
)

func errorOf[T any](_ T, err error) error { return err }

// checkCollectives does every operation, with values and with large slices, and says what came out wrong.
func checkCollectives(ctx context.Context, length int) (verdict, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{Rank: c.Rank(), Size: c.Size()}
	n, me := c.Size(), c.Rank()
	check := func(what string, got, want any, err error) {
		if v.Wrong == "" && err != nil {
			v.Wrong = what + ": " + err.Error()
		} else if d := cmp.Diff(want, got); v.Wrong == "" && d != "" {
			v.Wrong = what + ": " + d
		}
	}
	vector := func(x float64) []float64 {
		s := make([]float64, length)
		for i := range s {
			s[i] = x + float64(i)
		}
		return s
	}
	sum := func(x float64) []float64 {
		s := make([]float64, length)
		for i := range s {
			s[i] = x + float64(n*i)
		}
		return s
	}
	total := float64(n*(n-1)) / 2
	for root := range n {
		name, err := comm.Bcast(ctx, c, fmt.Sprint("rank ", me), root)
		check("Bcast", name, fmt.Sprint("rank ", root), err)
		mine := vector(float64(me))
		got, err := comm.Reduce(ctx, c, mine, comm.Elementwise(comm.Sum[float64]), root)
		check("what Reduce was given", mine, vector(float64(me)), nil)
		if me == root {
			check("Reduce", got, sum(total), err)
		} else {
			check("Reduce elsewhere", len(got), 0, err)
		}
		all, err := comm.Gather(ctx, c, me*me, root)
		want := []int(nil)
		if me == root {
			for r := range n {
				want = append(want, r*r)
			}
		}
		check("Gather", all, want, err)
		var parts [][]float64
		if me == root {
			for r := range n {
				parts = append(parts, vector(float64(100*r)))
			}
		}
		part, err := comm.Scatter(ctx, c, parts, root)
		check("Scatter", part, vector(float64(100*me)), err)
		order, err := comm.Reduce(ctx, c, []int{me}, func(a, b []int) []int { return append(slices.Clone(a), b...) }, root)
		if me == root {
			check("the order of Reduce", order, upTo(n), err)
		}
	}
	most, err := comm.Allreduce(ctx, c, me, comm.Max[int])
	check("Allreduce", most, n-1, err)
	ranks, err := comm.Allgather(ctx, c, me)
	check("Allgather", ranks, upTo(n), err)
	out := make([]string, n)
	want := make([]string, n)
	for r := range n {
		out[r], want[r] = fmt.Sprint(me, " to ", r), fmt.Sprint(r, " to ", me)
	}
	in, err := comm.Alltoall(ctx, c, out)
	check("Alltoall", in, want, err)
	err = comm.Send(ctx, c, vector(1), me, 3) // to itself
	check("Send", nil, nil, err)
	self, status, err := comm.RecvStatus[[]float64](ctx, c, comm.AnySource, comm.AnyTag)
	check("Recv", self, vector(1), err)
	check("the status", status, comm.Status{Source: me, Tag: 3}, err)
	check("Barrier", nil, nil, c.Barrier(ctx))
	return v, nil
}

// talks is every backend whose tasks have a communicator.
func talks(b backend) bool { return b.reports != "threads" || !b.shares }

func onTalking(t *testing.T, workers int, test func(t *testing.T, b backend, ex futures.Executor), opts ...futures.Option) {
	t.Helper()
	each(t, func(t *testing.T, b backend) { test(t, b, b.start(t, workers, opts...)) }, talks)
}

func submitEach[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R], arg A) []R {
	t.Helper()
	f, err := futures.SubmitEach(ex, fn, arg)
	if err != nil {
		t.Fatal(err)
	}
	return result(t, f)
}

func TestAParallelTaskComputesPi(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 4} {
		onTalking(t, workers, func(t *testing.T, _ backend, ex futures.Executor) {
			for _, got := range submitEach(t, ex, pi, 128) {
				if math.Abs(got-3.1415977398528137) > 1e-14 {
					t.Errorf("pi with %d workers is %v", workers, got)
				}
			}
		})
	}
}

// deserted has the last rank end in some way, for whose message the others wait.
func deserted(ctx context.Context, c *comm.Comm, how string) error {
	if c.Rank() < c.Size()-1 {
		_, err := comm.Recv[int](ctx, c, c.Size()-1, comm.AnyTag)
		return err
	}
	switch how {
	case "fails":
		return ErrEmpty
	case "panics":
		panic("deserted")
	case "is killed":
		return killItself()
	}
	return nil
}

func TestEveryCollectiveOperationWithEveryRoot(t *testing.T) {
	sizes := []int{1, 2, 3}
	if testing.Short() {
		sizes = sizes[2:]
	}
	for _, workers := range sizes {
		onTalking(t, workers, func(t *testing.T, _ backend, ex futures.Executor) {
			for _, length := range []int{3, 50_000} { // in band and beside the message
				for i, v := range submitEach(t, ex, collectives, length) {
					if v.Wrong != "" || v.Rank != i || v.Size != workers {
						t.Errorf("worker %d of %d: %+v", i, workers, v)
					}
				}
			}
		})
	}
}

func TestTasksSubmittedOneByOneFindEachOther(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for round := range 20 {
			var fs []*futures.Future[verdict]
			for range 2 {
				fs = append(fs, submit(t, ex, ring, 0))
			}
			var ranks []int
			for _, f := range fs {
				v := result(t, f)
				ranks = append(ranks, v.Rank)
			}
			if round == 0 && !slices.Equal(ranks, []int{0, 1}) {
				t.Errorf("the first tasks ran on workers %v", ranks)
			}
			if slices.Sort(ranks); !slices.Equal(ranks, []int{0, 1}) {
				t.Errorf("round %d ran on workers %v", round, ranks)
			}
		}
	})
}

func TestParallelTasksAndOthersDoNotWaitForEachOther(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var fs []futures.Awaitable
		for i := range 50 {
			each, err := futures.SubmitEach(ex, barrier, i)
			if err != nil {
				t.Fatal(err)
			}
			fs = append(fs, each, submit(t, ex, square, i))
			// A pair with a parallel task between its halves: the second must pass it.
			first := submit(t, ex, barrier, i)
			between, err := futures.SubmitEach(ex, barrier, i)
			if err != nil {
				t.Fatal(err)
			}
			fs = append(fs, first, between, submit(t, ex, barrier, i))
		}
		done, rest, err := futures.Wait(within(t), fs, futures.AllCompleted)
		if err != nil {
			t.Fatalf("%d are not done: %v", len(rest), err)
		}
		for _, f := range done {
			if taskErr, waitErr := f.Exception(within(t)); taskErr != nil || waitErr != nil {
				t.Fatal(taskErr, waitErr)
			}
		}
	})
}

// desertedBy tells whether an error is that of a parallel task of which one has ended in this way, while the others waited for it.
func desertedBy(how string, err error) bool {
	switch how {
	case "fails":
		return errors.Is(err, ErrEmpty)
	case "panics":
		return contains(err, "deserted")
	case "is killed":
		return errors.Is(err, futures.ErrBroken) && contains(err, "killed")
	}
	return errors.Is(err, futures.ErrBroken)
}

func TestNobodyWaitsForAWorkerThatHasLeftAParallelTask(t *testing.T) {
	onTalking(t, 3, func(t *testing.T, b backend, ex futures.Executor) {
		for _, how := range []string{"returns", "fails", "panics", "is killed"} {
			t.Run(how, func(t *testing.T) {
				if how == "is killed" && b.reports != "processes" {
					t.Skip(cannotBeKilled)
				}
				f, err := futures.SubmitEach(ex, deserter, how)
				if err != nil {
					t.Fatal(err)
				}
				_, err = f.Result(within(t))
				if !desertedBy(how, err) {
					t.Errorf("a worker %s: %v", how, err)
				}
				for i, r := range submitEach(t, ex, barrier, 0) { // the next one is not affected
					if r != i {
						t.Errorf("after a worker %s, worker %d is %d", how, i, r)
					}
				}
			})
		}
	})
}

func TestTheEndOfATasksTimeEndsItsWaitForOthers(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		f, err := futures.Submit(ex, barrier, 0, futures.WithTaskTimeout(50e6)) // nobody else comes
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Result(within(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestThereIsNoCommunicatorElsewhere(t *testing.T) {
	if _, err := futures.CommWorkers(t.Context()); !errors.Is(err, futures.ErrNoWorkersComm) {
		t.Error(err)
	}
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		if _, err := submit(t, ex, askComm, 0).Result(within(t)); !errors.Is(err, futures.ErrNoWorkersComm) {
			t.Errorf("in a task of a thread pool: %v", err)
		}
		if got := submitEach(t, ex, square, 3); !slices.Equal(got, []int{9}) {
			t.Error(got)
		}
	}, func(b backend) bool { return !talks(b) })
}

func TestMisuseOfTheCommunicatorIsAnError(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, wrong := range submitEach(t, ex, misused, 0) {
			if wrong != "" {
				t.Errorf("%s was no error", wrong)
			}
		}
		for _, ok := range submitEach(t, ex, wrongType, 0) {
			if !ok {
				t.Error("a value of another type was received")
			}
		}
	})
}

func TestAParallelTaskThatWaitsCanBeCancelled(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		running := submit(t, ex, wait, g)
		f, err := futures.SubmitEach(ex, square, 1)
		if err != nil {
			t.Fatal(err)
		}
		after := submit(t, ex, square, 2)
		if !f.Cancel() {
			t.Error("it could not be cancelled")
		}
		g.open()
		result(t, running)
		if got := result(t, after); got != 4 {
			t.Error(got)
		}
		waiting, err := futures.SubmitEach(ex, square, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if got := result(t, waiting); !slices.Equal(got, []int{1}) {
			t.Errorf("what was queued at the close gave %v", got)
		}
		if _, err := futures.SubmitEach(ex, square, 1); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
	})
}
