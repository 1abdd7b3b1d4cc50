package mpilink

import (
	"context"
	"testing"
	"testing/synctest"
)

// slowEnd is an opening whose end takes until it is told.
type slowEnd struct{ over chan struct{} }

func (slowEnd) start(context.Context) (*Hub, error) { return nil, nil }

func (s slowEnd) end(context.Context) error {
	<-s.over
	return nil
}

func TestACloseThatIsNotTheFirstWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowEnd{make(chan struct{})}
		g := newGroup(Config{}, nil, s)
		closed := make(chan error)
		for range 2 {
			go func() { closed <- g.Close(t.Context()) }()
		}
		synctest.Wait()
		select {
		case err := <-closed:
			t.Errorf("one returned before all was ended: %v", err)
			return
		default:
		}
		close(s.over)
		for range 2 {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
	})
}
