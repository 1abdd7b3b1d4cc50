package dispatch_test

import (
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// A worker that is in a long task gives the rest of its batch back. When everything queued has been cancelled meanwhile,
// nobody would end the contexts of those tasks any more: they must not be handed out again.
func TestTasksGivenBackAfterACancellingShutdownAreDropped(t *testing.T) {
	for name, comeBack := range map[string]func(p *puppet){
		"given back": func(p *puppet) {
			p.say([]byte{'b', 5})
			p.say([]byte{'R', 4, 1 << 2, 9})
		},
		"left back": func(p *puppet) {
			p.handler.Lost(0, link.Loss{Err: errors.New("killed"), Proof: true, Finished: 3, Picked: 4})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m, first := p.begin(t)
			p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3}) // the function is tiny: the next two come together
			p.hears(t, 't')
			p.say([]byte{'R', 2, 1 << 2, 7, 1 << 2, 7})
			first.wait(t)
			j, s := job(0, 1, 2, 3, 4, 5)
			if err := m.Submit(j); err != nil {
				t.Fatal(err)
			}
			p.hears(t, 't')
			if _, err := m.Shutdown(t.Context(), false, true); err != nil {
				t.Fatal(err)
			}
			comeBack(p)
			s.wait(t)
			await(t, m.Closed(), "end of the pool")
			for unit := 1; unit < 5; unit++ {
				if !errors.Is(s.errs[unit], dispatch.ErrDropped) {
					t.Errorf("unit %d: %v, want that it was dropped", unit, s.errs[unit])
				}
			}
			for len(p.sent) > 0 {
				if f := <-p.sent; f.Stream[0] == 't' {
					t.Error("it was handed out again")
				}
			}
		})
	}
}
