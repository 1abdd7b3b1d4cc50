package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// breakable is a group of two workers that can break what they have in common.
type breakable struct{ pair }

func (breakable) Breaks() bool { return true }

// What is being made cannot be broken: a task that waits for it would do so without end.
func TestALossBreaksWhatTheWorkersHaveInCommonOnceItIsMade(t *testing.T) {
	for name, c := range map[string]struct {
		group func(*puppet) link.Group
		made  bool
		ends  bool
	}{
		"made":               {func(p *puppet) link.Group { return breakable{pair{p}} }, true, false},
		"not made yet":       {func(p *puppet) link.Group { return breakable{pair{p}} }, false, true},
		"cannot be broken":   {func(p *puppet) link.Group { return pair{p} }, true, true},
		"neither can nor is": {func(p *puppet) link.Group { return pair{p} }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, doomed := newPuppet(), make(chan error, 1)
				m := dispatch.New(dispatch.Config{Group: c.group(p), Stuck: func(err error) { doomed <- err }})
				g, all := job(1, 0)
				g.More = &dispatch.More{Gang: true}
				all.left = 2
				if err := m.Submit(g); err != nil {
					t.Fatal(err)
				}
				p.greet(0, "")
				p.greet(1, "")
				synctest.Wait()
				p.hears(t, 't')
				p.hears(t, 't')
				p.say([]byte{'a'})
				p.say([]byte{'d', 1, 1, 0})
				synctest.Wait()
				p.hears(t, 'd')
				if c.made {
					p.say([]byte{'D', 0})
				}
				p.handler.Lost(1, link.Loss{Err: errors.New("gone"), Proof: true, Picked: 1})
				synctest.Wait()
				broken := false
				for len(p.sent) > 0 {
					broken = (<-p.sent).Stream[0] == 'x' || broken
				}
				if ends := len(doomed) > 0; ends != c.ends || broken == c.ends {
					t.Errorf("the end of everything: %v, a word to break: %v", ends, broken)
				}
				p.handler.Lost(0, link.Loss{Err: errors.New("gone"), Proof: true, Picked: 1})
				all.wait(t)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_, _ = m.Shutdown(ctx, false, true)
				await(t, m.Closed(), "end of the master")
			})
		})
	}
}
