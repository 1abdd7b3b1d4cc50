package futures

import (
	"context"
	"runtime"
	"strings"
	"sync"
)

// notifier runs the callbacks of an executor's futures on a goroutine of its own, in order, so that a slow one delays
// other callbacks and nothing else. The goroutine exists only while there are some.
type notifier struct {
	mu      sync.Mutex
	queue   []*callbackList
	running bool
	idle    chan struct{} // closed when the goroutine ends; nil when nobody waits for that
}

func (n *notifier) add(l *callbackList) {
	if l == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, l)
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	normal := false
	defer func() {
		if !normal {
			go n.run() // a callback called runtime.Goexit
		}
	}()
	for l := n.next(); l != nil; l = n.next() {
		l.run()
	}
	normal = true
}

func (n *notifier) next() *callbackList {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.queue, n.running = nil, false
		if n.idle != nil {
			close(n.idle)
			n.idle = nil
		}
		return nil
	}
	l := n.queue[0]
	n.queue[0] = nil
	n.queue = n.queue[1:]
	return l
}

// drain waits until every callback so far has run, or until ctx ends. Called by a callback it does not wait: that would
// be for itself.
func (n *notifier) drain(ctx context.Context) error {
	n.mu.Lock()
	if !n.running || inCallback() {
		n.mu.Unlock()
		return nil
	}
	if n.idle == nil {
		n.idle = make(chan struct{})
	}
	idle := n.idle
	n.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// inCallback tells whether this goroutine is a notifier's.
func inCallback() bool {
	var pcs [64]uintptr
	for skip := 0; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			if f, more = frames.Next(); strings.HasSuffix(f.Function, "futures.(*notifier).run") {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
