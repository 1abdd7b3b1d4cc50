package dispatch_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
)

func TestAWorkerThatIsNeverIdleKeepsAShortList(t *testing.T) {
	p := newPool(t, 1, nil, double)
	const n = 300_000
	s := newSink(n)
	for i := range n {
		j, _ := job(0, uint64(i))
		j.Sink = oneOf{s, i}
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
	}
	s.wait(t)
	if room := p.Master.RoomForPieces(0); room > 1<<15 {
		t.Errorf("the list of what the worker was given has grown to %d", room)
	}
}

// oneOf is the sink of a job of one unit, which is unit at of another sink.
type oneOf struct {
	*sink
	at int
}

func (o oneOf) Claim(int, int) bool { return o.sink.Claim(o.at, 1) }

func (o oneOf) Results(_, n int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	return o.sink.Results(o.at, n, data, segments, by)
}
