package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// ending is a body for chunks of three elements. The first two are texts, and the last has a segment or fails.
type ending struct{ err error }

func (ending) NeedsContext() bool { return false }

func (e ending) Call(c *dispatch.Call) error {
	for _, text := range []string{"abcdefgh", "ijklmnop"} {
		c.Out.Stream = append(c.Out.Stream, text...)
		c.Done++
		c.Over()
	}
	if e.err != nil {
		return e.err
	}
	c.Out.Stream = append(c.Out.Stream, '!')
	c.Out.Segments = append(c.Out.Segments, make([]byte, 1<<10))
	c.Done++
	return nil
}

// watched is a wire that has something looked at before the results of an ending are sent.
type watched struct {
	*wire
	look func()
}

func (w watched) Send(f link.Frame) error {
	if bytes.Contains(f.Stream, []byte("ijklmnop")) {
		w.look()
	}
	return w.wire.Send(f)
}

// What a journal has of a chunk is looked at when the worker was killed, and it may be killed while it sends the chunk.
func TestTheJournalHasWhatIsOverOfAChunkUntilItIsSent(t *testing.T) {
	no := errors.New(strings.Repeat("no ", 40))
	for name, c := range map[string]struct {
		size int // of the journal
		last ending
	}{
		"that ends with a segment":               {1 << 10, ending{}},
		"that nearly fills the journal":          {188, ending{no}},
		"beside which there is no room in there": {160, ending{no}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{down: make(chan link.Frame, 8), up: make(chan []byte, 64), journal: link.NewJournal(make([]byte, link.JournalHeader+c.size))}
			looks := 0
			end := watched{w, func() {
				looks++
				if over, results := w.journal.Begun(); over != 2 || string(results) != "abcdefghijklmnop" {
					t.Errorf("the journal has %d elements, %q", over, results)
				}
			}}
			svc := dispatch.Service{
				Function:    func(uint32) dispatch.Body { return c.last },
				Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
				AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
			}
			served := make(chan error, 1)
			go func() { served <- dispatch.Serve(end, svc) }()
			w.say('s', 0, 1)
			w.hear(t, 'r')
			w.say('t', 1, 0 /* number, epoch */, 1, 0, 1, 0, 0, 0, 3, 3 /* flags, function, units, elements */, 1, 7 /* a unit */)
			w.say('q')
			if err := <-served; err != nil || looks != 1 {
				t.Errorf("%v; the results were sent %d times", err, looks)
			}
		})
	}
}
