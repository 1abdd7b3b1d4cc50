package trace

import "context"

// Hook is told of the events of a pool, in batches, on a goroutine of its own. It may take any time: meanwhile units are put together and
// other events are left out, for this hook alone. It must return. The events are good until then. When it says that it has had enough it is not called again.
type Hook func(Batch) (enough bool)

// Batch is what has happened since the batch before.
type Batch struct {
	Events []Event
	Merged []*Event // units beyond what the memory takes, put together
	Units  int      // how many those of Merged are that are not told of one by one
	Missed int      // other events, which are not told of at all
	Last   bool     // nothing more comes
}

// hooked is a hook of a pool.
type hooked struct {
	*queue
	p    *Pool
	tell Hook
}

// round tells the hook what there is, and whether nothing more comes.
func (h *hooked) round() (ended bool) {
	h.p.sample(true)
	events, over, missed, ended := h.take()
	b := Batch{Events: events, Merged: over.take(), Units: over.merged, Missed: missed, Last: ended}
	if len(events) > 0 || len(b.Merged) > 0 || missed > 0 || ended {
		if h.tell(b) {
			h.end()
			ended = true
		}
	}
	h.giveBack(events)
	return ended
}

// AwaitHooks waits until the hooks of a pool that is closed have been told everything, or until ctx ends; then it returns its cause.
func (p *Pool) AwaitHooks(ctx context.Context) error {
	for _, h := range p.hooks {
		select {
		case <-h.read:
			continue
		default:
		}
		select {
		case <-h.read:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
