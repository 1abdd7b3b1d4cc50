package mpilink_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestAWordThatAServerHasLeftIsTakenBackHoweverItEnds(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		late  bool // the word is left after the server has given up
		fails error
		want  int32 // words taken back
	}{
		"as it should":                 {want: 1},
		"after it was given up":        {late: true, want: 1},
		"none was left":                {fails: refused},
		"none was left, after the end": {late: true, fails: refused},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var back atomic.Int32
			ended, over := make(chan struct{}), make(chan struct{})
			end, err := mpilink.LeaveWord(ctx, func() (func(), error) {
				defer close(over)
				if c.late {
					cancel()
					<-ended
				}
				return func() { back.Add(1) }, c.fails
			})
			switch {
			case c.late && !errors.Is(err, context.Canceled), !c.late && !errors.Is(err, c.fails):
				t.Error(err)
			}
			end()
			end()
			close(ended)
			<-over
			testkit.Until(t, "the word is taken back", func() bool { return back.Load() == c.want })
		})
	}
}
