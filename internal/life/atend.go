package life

import (
	"context"
	"sync"
	"time"
)

// atEnd is what is to be done when the program's executors are closed.
var atEnd struct {
	sync.Mutex
	calls map[*func(context.Context)]struct{}
}

// endLimit is how long that may take.
const endLimit = 5 * time.Second

// AtEnd has f called when the program's function has ended and its executors are closed, unless forget is called before. Its context ends after some seconds.
func AtEnd(f func(context.Context)) (forget func()) {
	a := &atEnd
	a.Lock()
	defer a.Unlock()
	if a.calls == nil {
		a.calls = map[*func(context.Context)]struct{}{}
	}
	a.calls[&f] = struct{}{}
	return func() {
		a.Lock()
		defer a.Unlock()
		delete(a.calls, &f)
	}
}

// lastCalls calls what AtEnd was given, together.
func lastCalls() {
	a := &atEnd
	a.Lock()
	calls := a.calls
	a.calls = nil
	a.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	var wg sync.WaitGroup
	for f := range calls {
		wg.Go(func() { (*f)(ctx) })
	}
	wg.Wait()
}
