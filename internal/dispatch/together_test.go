package dispatch_test

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// A result that comes alone wakes a thread of the master, which takes much of the time of a short task.
func TestTasksOfATenthOfAMillisecondDoNotWakeTheMasterOfAProcessOneByOne(t *testing.T) {
	near := func(p *puppet) link.Group { return near{p} }
	far := func(p *puppet) link.Group { return p }
	for name, c := range map[string]struct {
		took time.Duration
		in   func(p *puppet) link.Group
		want []uint64 // the first unit of each frame that follows the first answer
	}{
		"20 µs, in a process":   {20 * time.Microsecond, far, []uint64{2, 53}},
		"100 µs, in a process":  {100 * time.Microsecond, far, []uint64{2, 13}},
		"500 µs, in a process":  {500 * time.Microsecond, far, []uint64{2, 5}},
		"1 ms, in a process":    {time.Millisecond, far, []uint64{2, 3}},
		"20 µs, in a goroutine": {20 * time.Microsecond, near, []uint64{2, 15}},
		"100 µs in a goroutine": {100 * time.Microsecond, near, []uint64{2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPuppet()
				m := dispatch.New(dispatch.Config{Group: c.in(p)})
				j, s := job(0, make([]uint64, 200)...)
				if err := m.Submit(j); err != nil {
					t.Fatal(err)
				}
				p.greet(0, "")
				p.hears(t, 't')
				p.say(binary.AppendUvarint([]byte{'R', 1, 1 << 2, 7}, uint64(c.took)<<2|3))
				synctest.Wait() // the frames leave by whichever goroutine is sending
				var got []uint64
				for len(p.sent) > 0 {
					first, _ := binary.Uvarint((<-p.sent).Stream[1:])
					got = append(got, first)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error("first units of the frames:", diff)
				}
				p.end(t, m, s)
			})
		})
	}
}
