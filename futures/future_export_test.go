package futures

import (
	"context"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/life"
)

// Followers counts the hooks and callbacks on a future.
func Followers(a Awaitable) (hooks, calls int) {
	c := a.base()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		return 0, 0
	}
	return count(c.list.hooks), count(c.list.calls)
}

func count[L any](r ring[L]) (n int) {
	if r.first == nil {
		return 0
	}
	for at := r.first; ; at = at.next {
		n++
		if at.next == r.first {
			return n
		}
	}
}

// What an executor in this package uses.

func (f *Future[T]) Claim() bool                        { return f.claim() }
func (f *Future[T]) Unclaim()                           { f.unclaim() }
func (f *Future[T]) Settle(v T, err error) (run func()) { return f.settle(v, err).run }
func (f *Future[T]) Fail(err error) (run func(), ok bool) {
	l, ok := f.fail(err)
	return l.run, ok
}
func (f *Future[T]) Revoke() (run func(), ok bool) {
	l, ok := f.revoke(nil)
	return l.run, ok
}

// Own makes fn the owner that learns of a Cancel.
func (f *Future[T]) Own(fn func()) { f.owner = ownerFunc(fn) }

type ownerFunc func()

func (fn ownerFunc) cancelled() *callbackList { fn(); return nil }
func (fn ownerFunc) lane() *lane.Lane         { return nil }

// ReadingSize is what a future needs for the race detector.
const ReadingSize = unsafe.Sizeof(reading{})

// FlushLog waits until the package's log has been handed on.
func FlushLog() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	life.Complaints().Flush(ctx)
}

// Log reports something to an executor's log.
func (ex *ThreadPoolExecutor) Log(text string) { ex.log.Warn(text) }

// Complain reports something to the package's log.
func Complain(text string) { life.Complaints().Warn(text) }
