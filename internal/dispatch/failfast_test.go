package dispatch_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// failedUnit is an answer with the failure of one unit.
func failedUnit(seq byte) []byte { return []byte{'R', seq, 2, 0, 0, 0, 0, 1, 'e'} }

func TestAfterAFailureNoUnitIsSentOfJobsThatEndWithIt(t *testing.T) {
	bad := func([]byte, uint32, int, dispatch.Hello) error { return errors.New("bad input") }
	for name, fail := range map[string]func(p *puppet){
		"an error": func(p *puppet) { p.say(failedUnit(1)) },
		"the loss of its worker": func(p *puppet) {
			p.handler.Lost(0, link.Loss{Err: errors.New("gone"), Proof: true, Picked: 1})
			p.greet(0, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPuppet()
				m := dispatch.New(dispatch.Config{Group: p, DecodeError: bad})
				fate := new(dispatch.FailFast)
				first, s := job(0, 1, 2, 3)
				first.More = &dispatch.More{FailFast: fate}
				second, _ := job(0, 4, 5) // of the same map
				second.More = &dispatch.More{FailFast: fate}
				other, done := job(7, 6)
				for _, j := range []*dispatch.Job{first, second, other} {
					if err := m.Submit(j); err != nil {
						t.Fatal(err)
					}
				}
				p.greet(0, "")
				p.hears(t, 't')
				fail(p)
				synctest.Wait()
				if len(p.sent) != 1 {
					t.Fatalf("%d frames came after the failure, want one", len(p.sent))
				}
				f := <-p.sent
				if f.Stream[0] != 't' || f.Stream[4] != 7 {
					t.Fatalf("%q came after the failure, want the other job", f.Stream)
				}
				if len(s.errs) != 1 || s.errs[0] == nil {
					t.Errorf("the failed job was told %v", s.errs)
				}
				if got := m.Stats(); got.Cancelled != 4 || got.Failed != 1 || got.Queued != 0 {
					t.Errorf("%+v", got)
				}
				if n := m.Withdraw(first) + m.Withdraw(second); n != 0 {
					t.Errorf("%d units were taken back again", n)
				}
				p.say([]byte{'R', f.Stream[1], 1 << 2, 7})
				done.wait(t)
				if _, err := m.Shutdown(t.Context(), false, false); err != nil {
					t.Fatal(err)
				}
				p.handler.Lost(0, link.Loss{})
				await(t, m.Closed(), "end of the master")
			})
		})
	}
}
