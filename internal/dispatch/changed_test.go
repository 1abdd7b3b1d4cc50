package dispatch_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// A frame has a unit with a segment, which is not what its sample says, and behind it two of another job without segments.
func TestAChangedArgumentFailsItsOwnUnitAndNoneOfAnotherJob(t *testing.T) {
	for name, recalled := range map[string]bool{"the unit runs": false, "the unit was recalled": true} {
		t.Run(name, func(t *testing.T) {
			svc := dispatch.Service{
				Function: func(uint32) dispatch.Body {
					return function{func(_ context.Context, x uint64) (uint64, error) { return x, nil }, false}
				},
				Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
				AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
			}
			w := &wire{down: make(chan link.Frame, 8), up: make(chan []byte, 64), journal: link.NewJournal(make([]byte, 1<<12))}
			if recalled {
				w.journal.Recall(1, 1)
			}
			served := make(chan error, 1)
			go func() { served <- dispatch.Serve(w, svc) }()
			w.say('s', 0, 1, 0, 1, 1, 0)
			w.hear(t, 'r')
			stream := []byte{'t', 1, 0 /* number, epoch */, 4, 0, 1, 0, 0, 0 /* with segments, function, units */, 1, 1 /* bytes, segments */}
			stream = append(stream, "a sample"...)
			stream = append(stream, 6, 0, 0, 2, 0, 0, 0 /* flags, function, units */, 1, 7, 1, 8)
			w.down <- link.Frame{Stream: stream, Segments: [][]byte{make([]byte, 1<<16)}}
			got := w.hear(t, 'R')
			if changed := bytes.Contains(got, []byte(dispatch.ErrChanged.Error())); changed == recalled {
				t.Errorf("the unit fails because it was changed: %v", changed)
			}
			if !bytes.Contains(got, []byte{1 << 2, 7, 1 << 2, 8}) {
				t.Errorf("the other job's units have no results: %q", got)
			}
			w.say('q')
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}
