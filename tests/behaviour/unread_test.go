package behaviour_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

var (
	// hoard sends much to the next worker, which reads the last message only.
	hoard = futures.RegisterContext("hoard", func(ctx context.Context, megabytes int) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		next, last := (c.Rank()+1)%c.Size(), (c.Rank()+c.Size()-1)%c.Size()
		for range megabytes {
			if err := comm.Send(ctx, c, make([]byte, 1<<20), next, 1); err != nil {
				return 0, err
			}
		}
		if err := comm.Send(ctx, c, 7, next, 2); err != nil {
			return 0, err
		}
		n, err := comm.Recv[int](ctx, c, last, 2)
		return n, err
	})

	// exchange has rank 0 send some tags, of which rank 1 reads what it is given as first and leaves the rest.
	exchange = futures.RegisterContext("exchange", func(ctx context.Context, e exchanged) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		if c.Rank() == 0 {
			for _, tag := range e.Sent {
				if err := comm.Send(ctx, c, fmt.Sprint(e.Round, " ", tag), 1, tag); err != nil {
					return "", err
				}
			}
			return "", nil
		}
		return comm.Recv[string](ctx, c, 0, e.Read)
	})
)

type exchanged struct {
	Round int
	Sent  []int
	Read  int
}

func heapNow() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMessagesThatATaskLeavesUnreadTakeNoMemoryAfterIt(t *testing.T) {
	const megabytes = 24
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		run := func(megabytes int) {
			for _, n := range submitEach(t, ex, hoard, megabytes) {
				if n != 7 {
					t.Errorf("received %d", n)
				}
			}
			fs := []*futures.Future[int]{submit(t, ex, hoard, megabytes), submit(t, ex, hoard, megabytes)}
			for _, f := range fs {
				result(t, f)
			}
		}
		run(1)
		before := heapNow()
		run(megabytes)
		eventually(t, "what nobody can read any more is let go", func() bool { return heapNow() < before+megabytes<<20/2 })
	}, talks, inside)
}

func TestAMessageThatATaskLeavesUnreadIsNotMetByTheNext(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		for round := range 3 {
			e := exchanged{round, []int{1, 2}, 2} // after the second, the first is there, and left
			if round == 2 {
				e = exchanged{round, []int{3}, comm.AnyTag}
			}
			got := ""
			for _, f := range []*futures.Future[string]{submit(t, ex, exchange, e), submit(t, ex, exchange, e)} {
				got += result(t, f)
			}
			if want := fmt.Sprint(round, " ", e.Sent[len(e.Sent)-1]); got != want {
				t.Errorf("round %d read %q, want %q", round, got, want)
			}
		}
	}, talks)
}
