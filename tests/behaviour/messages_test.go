package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// checks are what a task has found wrong: the first thing.
type checks struct{ wrong string }

func (c *checks) that(what string, got, want any, err error) {
	if c.wrong == "" && err != nil {
		c.wrong = what + ": " + err.Error()
	} else if c.wrong == "" && !reflect.DeepEqual(got, want) { // cmp takes its time for what is long
		c.wrong = what + ": " + cmp.Diff(want, got)
	}
}

func (c *checks) fails(what string, err error, words string) {
	if c.wrong == "" && (err == nil || !contains(err, words)) {
		c.wrong = fmt.Sprintf("%s: %v, want %q", what, err, words)
	}
}

var (
	messages = futures.RegisterContext("messages", checkMessages)
	returns  = futures.RegisterContext("returns", func(ctx context.Context, large int) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		n, me := c.Size(), c.Rank()
		if me == 0 { // returns with its messages on their way
			for r := 1; r < n; r++ {
				for i := range 5 {
					if _, err := comm.Isend(ctx, c, make([]byte, large+i), r, 3); err != nil {
						return "", err
					}
				}
			}
			_, err := comm.Irecv[int](ctx, c, n-1, 9) // which nobody sends
			return "", err
		}
		for i := range 5 {
			if b, err := comm.Recv[[]byte](ctx, c, 0, 3); err != nil || len(b) != large+i {
				return fmt.Sprintf("message %d has %d bytes, %v", i, len(b), err), nil
			}
		}
		r, err := comm.Irecv[int](ctx, c, 0, comm.AnyTag) // which never comes
		if err != nil {
			return "", err
		}
		if _, err := r.Result(ctx); !errors.Is(err, futures.ErrBroken) {
			return fmt.Sprintf("a request to a task that has returned: %v", err), nil
		}
		if _, err := comm.Probe(ctx, c, 0, comm.AnyTag); !errors.Is(err, futures.ErrBroken) {
			return fmt.Sprintf("a probe of a task that has returned: %v", err), nil
		}
		if _, ok, err := comm.Iprobe(c, 0, comm.AnyTag); ok || !errors.Is(err, futures.ErrBroken) {
			return fmt.Sprintf("a look at a task that has returned: %v %v", ok, err), nil
		}
		return "", nil
	})
	outlives = futures.RegisterContext("outlives", func(ctx context.Context, again bool) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		if again {
			_, err := comm.Recv[int](context.Background(), outlived.c, comm.AnySource, comm.AnyTag)
			return fmt.Sprint(outlived.request.Done(), errorOf(outlived.request.Result(ctx)), err), nil
		}
		outlived.c = c
		outlived.request, err = comm.Irecv[int](context.Background(), c, 0, 1)
		return "", err
	})
	outlived struct {
		c       *comm.Comm
		request *comm.Request[int]
	}
)

// checkMessages does what is between two ranks, with messages of some length, and says what came out wrong.
func checkMessages(ctx context.Context, length int) (string, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return "", err
	}
	var v checks
	n, me := c.Size(), c.Rank()
	next, last := (me+1)%n, (me+n-1)%n
	vector := func(x int) []float64 {
		s := make([]float64, length)
		for i := range s {
			s[i] = float64(x + i)
		}
		return s
	}

	text, err := comm.Sendrecv[string](ctx, c, fmt.Sprint("from ", me), next, 1, last, 1)
	v.that("Sendrecv", text, fmt.Sprint("from ", last), err)
	border, err := comm.Sendrecv[[]float64](ctx, c, vector(me), last, 2, next, comm.AnyTag)
	v.that("Sendrecv of a slice", border, vector(next), err)

	// Requests take messages in the order in which they were made, and messages keep theirs.
	var in []*comm.Request[[]float64]
	for range 4 {
		r, err := comm.Irecv[[]float64](ctx, c, last, 5)
		v.that("Irecv", nil, nil, err)
		in = append(in, r)
	}
	var out []*comm.Request[struct{}]
	for i := range 3 {
		r, err := comm.Isend(ctx, c, vector(100*i), next, 5)
		v.that("Isend", nil, nil, err)
		out = append(out, r)
	}
	v.that("Send behind Isend", nil, nil, comm.Send(ctx, c, vector(300), next, 5))
	_, err = comm.WaitAll(ctx, out...)
	v.that("WaitAll of Isend", out[0].Cancel(), false, err)
	got, err := comm.WaitAll(ctx, in...)
	v.that("WaitAll", got, [][]float64{vector(0), vector(100), vector(200), vector(300)}, err)
	<-in[0].DoneChan()
	_, from, err := in[3].ResultStatus(ctx)
	v.that("the status", from, comm.Status{Source: last, Tag: 5}, err)
	v.that("a second look", in[0].Done(), true, nil)

	// What is probed stays, what is asked for first is got first.
	v.that("Barrier", nil, nil, c.Barrier(ctx))
	_, ok, err := comm.Iprobe(c, comm.AnySource, comm.AnyTag)
	v.that("Iprobe of nothing", ok, false, err)
	v.that("Barrier", nil, nil, c.Barrier(ctx)) // nobody sends before all have looked
	v.that("Send", nil, nil, comm.Send(ctx, c, 8, next, 7))
	for range 2 {
		from, err := comm.Probe(ctx, c, comm.AnySource, comm.AnyTag)
		v.that("Probe", from, comm.Status{Source: last, Tag: 7}, err)
		from, ok, err := comm.Iprobe(c, last, 7)
		v.that("Iprobe", from, comm.Status{Source: last, Tag: 7}, err)
		v.that("Iprobe", ok, true, nil)
	}
	_, ok, err = comm.Iprobe(c, last, 6)
	v.that("Iprobe of another tag", ok, false, err)
	eight, err := comm.Recv[int](ctx, c, last, 7)
	v.that("Recv of what was probed", eight, 8, err)

	// A request that is withdrawn, or whose context ends, takes nothing.
	withdrawn, err := comm.Irecv[int](ctx, c, last, 11)
	v.that("Irecv", withdrawn.Done(), false, err)
	v.that("Cancel", withdrawn.Cancel(), true, nil)
	v.that("Cancel again", withdrawn.Cancel(), false, nil)
	if _, err := withdrawn.Result(ctx); !errors.Is(err, context.Canceled) {
		v.fails("a cancelled request", err, "cancelled")
	}
	short, end := context.WithCancelCause(ctx)
	ended, err := comm.Irecv[int](short, c, last, 11)
	v.that("Irecv", nil, nil, err)
	if _, err := ended.Result(atItsEnd()); !errors.Is(err, context.Canceled) || ended.Done() {
		v.fails("the end of a wait", err, "not done")
	}
	end(errors.New("enough"))
	_, err = ended.Result(ctx)
	v.fails("a request whose context has ended", err, "enough")
	_, err = comm.Isend(short, c, 1, next, 11)
	v.fails("Isend with a context that has ended", err, "enough")
	v.that("Barrier", nil, nil, c.Barrier(ctx)) // theirs have ended too
	v.that("Send", nil, nil, comm.Send(ctx, c, 12, next, 11))
	twelve, err := comm.Recv[int](ctx, c, last, 11)
	v.that("Recv behind requests that have ended", twelve, 12, err)

	// A request for another type is refused when its message is there, and both ends of a bad rank or tag at once.
	odd, err := comm.Irecv[string](ctx, c, last, 13)
	v.that("Irecv", nil, nil, err)
	v.that("Send", nil, nil, comm.Send(ctx, c, 1, next, 13))
	_, err = odd.Result(ctx)
	v.fails("another type", err, "another type than string")
	_, err = comm.Isend(ctx, c, 1, n, 0)
	v.fails("Isend to a rank that is not there", err, fmt.Sprintf("rank %d is out of range", n))
	_, err = comm.Isend(ctx, c, 1, 0, -1)
	v.fails("Isend with a bad tag", err, "tag -1")
	_, err = comm.Isend(ctx, c, make(chan int), 0, 0)
	v.fails("Isend of a channel", err, "chan int")
	_, err = comm.Irecv[int](ctx, c, -2, 0)
	v.fails("Irecv from a rank that is not there", err, "rank -2 is out of range")
	_, err = comm.Irecv[int](ctx, c, 0, -2)
	v.fails("Irecv with a bad tag", err, "tag -2")
	_, err = comm.Irecv[chan int](ctx, c, 0, 0)
	v.fails("Irecv of a channel", err, "chan int")
	_, err = comm.Sendrecv[int](ctx, c, 1, n, 0, 0, 0)
	v.fails("Sendrecv to a rank that is not there", err, "out of range")
	_, err = comm.Sendrecv[int](ctx, c, 1, 0, 0, n, 0) // and nothing is sent
	v.fails("Sendrecv from a rank that is not there", err, "out of range")
	_, err = comm.Probe(ctx, c, n, 0)
	v.fails("Probe of a rank that is not there", err, "out of range")
	_, err = comm.Probe(atItsEnd(), c, me, comm.AnyTag)
	v.fails("Probe with a context that has ended", err, "canceled")
	return v.wrong, nil
}

func atItsEnd() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// right submits a task that checks itself to all workers.
func right[A any](t *testing.T, ex futures.Executor, fn futures.Func[A, string], arg A) {
	t.Helper()
	for i, wrong := range submitEach(t, ex, fn, arg) {
		if wrong != "" {
			t.Errorf("worker %d: %s", i, wrong)
		}
	}
}

func TestMessagesBetweenTwoRanksInEveryForm(t *testing.T) {
	for _, workers := range []int{1, 2, 3} {
		onTalking(t, workers, func(t *testing.T, _ backend, ex futures.Executor) {
			for _, length := range []int{3, 50_000} { // in band and beside the message
				right(t, ex, messages, length)
			}
		})
	}
}

func TestATaskThatReturnsHasItsMessagesLeaveFirstAndEndsTheRequestsOfOthers(t *testing.T) {
	onTalking(t, 3, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, large := range []int{1, 1 << 19} {
			right(t, ex, returns, large)
		}
	})
}

func TestTheEndOfATaskEndsItsRequestsAndItsCommunicator(t *testing.T) {
	onTalking(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		submitEach(t, ex, outlives, false)
		const over = "the task that had this communicator has returned"
		if got := submitEach(t, ex, outlives, true)[0]; got[:4] != "true" || len(got) < 2*len(over) {
			t.Error(got)
		}
	})
}
