package dispatch_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// holder has a lease again and again, each time for so long, with a pause in between.
type holder struct {
	seat  sync.Locker
	each  time.Duration
	pause time.Duration
	had   time.Duration
	most  time.Duration // that it has waited
}

func (h *holder) run(until time.Time) {
	for time.Now().Before(until) {
		begin := time.Now()
		h.seat.Lock()
		h.most = max(h.most, time.Since(begin))
		time.Sleep(h.each)
		h.had += h.each
		h.seat.Unlock()
		time.Sleep(h.pause)
	}
}

func TestALeaseIsHadForEqualTimesHoweverLongTheBatchesAre(t *testing.T) {
	for name, each := range map[string][]time.Duration{
		"two":   {600 * time.Microsecond, 300 * time.Millisecond},
		"alike": {time.Millisecond, time.Millisecond},
		"three": {100 * time.Microsecond, 10 * time.Millisecond, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l dispatch.Lease
				var all []*holder
				var done sync.WaitGroup
				const long = 10 * time.Second
				until := time.Now().Add(long)
				for _, d := range each {
					h := &holder{seat: l.Seat(), each: d, pause: 2 * time.Microsecond}
					all = append(all, h)
				}
				for _, h := range all {
					done.Go(func() { h.run(until) })
				}
				done.Wait()
				for _, h := range all {
					if part := long / time.Duration(len(all)); h.had < part*8/10 || h.had > part*12/10 {
						t.Errorf("with %v at a time one had it for %v, want about %v", h.each, h.had, part)
					}
				}
			})
		})
	}
}

// Who comes now and then does not wait for more than what runs, and the lease is not kept for it.
func TestALeaseIsThereForOneThatComesNowAndThen(t *testing.T) {
	for _, pause := range []time.Duration{50 * time.Microsecond, 30 * time.Millisecond} {
		t.Run(fmt.Sprint(pause), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l dispatch.Lease
				much := &holder{seat: l.Seat(), each: 600 * time.Microsecond, pause: 2 * time.Microsecond}
				little := &holder{seat: l.Seat(), each: 10 * time.Microsecond, pause: pause}
				const long = 2 * time.Second
				alone := time.Now().Add(long)
				until := alone.Add(long)
				var done sync.WaitGroup
				done.Go(func() { much.run(until) })
				time.Sleep(long)
				done.Go(func() { little.run(until) })
				done.Wait()
				if little.most > time.Millisecond {
					t.Errorf("it has waited %v", little.most)
				}
				if sum := much.had + little.had; sum < 2*long*8/10 && pause > time.Millisecond {
					t.Errorf("both have had it for %v of %v", sum, 2*long)
				}
			})
		})
	}
}

// One that has little to run again and again does not have the lease stand idle for as long as the others run.
func TestALeaseIsNotKeptLongForOneThatRunsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l dispatch.Lease
		much := &holder{seat: l.Seat(), each: 300 * time.Millisecond}
		little := &holder{seat: l.Seat(), each: time.Microsecond, pause: 900 * time.Microsecond}
		const long = 20 * time.Second
		until := time.Now().Add(long)
		var done sync.WaitGroup
		done.Go(func() { much.run(until) })
		done.Go(func() { little.run(until) })
		done.Wait()
		if much.had < long*85/100 {
			t.Errorf("the other one has had it for %v of %v", much.had, long)
		}
	})
}

// Each comes once, and no turn is lost to one that does not come again.
func TestALeaseIsHadForItsPartBesideManyThatComeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l dispatch.Lease
		one := &holder{seat: l.Seat(), each: 10 * time.Millisecond, pause: 2 * time.Microsecond}
		const long = 10 * time.Second
		until := time.Now().Add(long)
		var had time.Duration
		var done sync.WaitGroup
		done.Go(func() { one.run(until) })
		done.Go(func() {
			for time.Now().Before(until) {
				other := &holder{seat: l.Seat(), each: time.Millisecond, pause: 2 * time.Microsecond}
				other.run(time.Now().Add(time.Nanosecond))
				had += other.had
			}
		})
		done.Wait()
		if one.had < long*40/100 || one.had+had < long*9/10 {
			t.Errorf("of %v one has had it for %v, and the others for %v", long, one.had, had)
		}
	})
}

// What is kept for a worker that has ended is passed on.
func TestALeaseThatIsKeptForOneThatDoesNotComeIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l dispatch.Lease
		a, b := l.Seat(), l.Seat()
		var done sync.WaitGroup
		a.Lock()
		done.Go(func() { b.Lock() })
		synctest.Wait()
		time.Sleep(time.Hour)
		done.Go(func() { a.Lock() })
		a.Unlock()
		synctest.Wait()
		time.Sleep(time.Microsecond)
		b.Unlock() // and does not come any more
		// By the clock of the bubble, which counts no work: it is kept for as long as is documented, or shorter.
		const longest = time.Millisecond
		begin := time.Now()
		done.Wait()
		if kept := time.Since(begin); kept > longest {
			t.Errorf("it was kept for %v", kept)
		}
		a.Unlock()
	})
}

// What one has had more than the others is forgotten while it asks for nothing.
func TestALeaseIsThereForOneThatHadItForLongAndLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l dispatch.Lease
		a, b := &holder{seat: l.Seat(), each: time.Millisecond}, &holder{seat: l.Seat(), each: time.Millisecond}
		var done sync.WaitGroup
		a.seat.Lock()
		done.Go(func() { b.run(time.Now().Add(time.Nanosecond)) })
		time.Sleep(time.Hour)
		a.seat.Unlock()
		done.Wait()
		time.Sleep(2 * time.Hour)
		until := time.Now().Add(time.Second)
		done.Go(func() { b.run(until) })
		synctest.Wait()
		done.Go(func() { a.run(until) })
		done.Wait()
		if a.had < 400*time.Millisecond {
			t.Errorf("of the second it had %v, and has waited %v", a.had, a.most)
		}
	})
}
