package futures

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"
)

// MapOption is an option of [Map] and [Starmap], and of the verbs of package pool that yield their results.
type MapOption interface {
	forMap(*mapConfig) error
}

// ListOption is an option of a verb that returns all results at once: see package pool.
type ListOption interface {
	forList()
}

// AnyMapOption is an option of every verb that maps, here and in package pool.
type AnyMapOption interface {
	MapOption
	ListOption
}

// mapConfig is what MapOptions set. The checks are made in the order of the original.
type mapConfig struct {
	chunk, buffer       int
	hasChunk, hasBuffer bool
	unordered           bool
	failFast            bool
	arrivals            []func(int)
	counts              []*atomic.Int64
	progress            io.Writer // nil: not shown
	progressName        string
	task                taskConfig
}

// mapOption is a MapOption.
type mapOption func(*mapConfig)

func (o mapOption) forMap(c *mapConfig) error { o(c); return nil }

// anyMapOption is an AnyMapOption.
type anyMapOption struct{ mapOption }

func (o anyMapOption) forList() {}

// newAnyMapOption returns an option with the effect of set.
func newAnyMapOption(set func(*mapConfig)) AnyMapOption { return anyMapOption{set} }

// WithChunkSize makes n consecutive elements travel and run as one task; each fails by itself. Where [WithRetries] may repeat an element
// after an error the option has no effect, so that no other element is repeated. Without it every element is a task of its own, and the
// scheduler sends several at once if they prove tiny.
func WithChunkSize(n int) AnyMapOption { return chunkSize(n) }

// chunkSize is WithChunkSize.
type chunkSize int

func (n chunkSize) forMap(c *mapConfig) error {
	c.chunk, c.hasChunk = int(n), true
	return nil
}

func (n chunkSize) forList() {}

// ChunkSize is for package pool, which chooses a size itself where this option is not given.
func (n chunkSize) ChunkSize() int { return int(n) }

// WithBufferSize limits how many chunks are submitted and not yet consumed to n, and draws the input as the results are consumed. Without
// it a slice is submitted whole at the call, and a sequence a few chunks per worker ahead. The verbs that return all results consume them
// as they come, so there it limits how many chunks are with the workers.
func WithBufferSize(n int) AnyMapOption {
	return newAnyMapOption(func(c *mapConfig) { c.buffer, c.hasBuffer = n, true })
}

// WithArrivals calls fn soon after results have come in, whether they are read yet or not, with the number of elements that have succeeded
// since the previous call. fn is called where the executor's callbacks run, one call at a time. It may take its time, and the last call may
// come after the last result was read. If the option is given several times, all functions are called; nil has no effect. For a counter
// that is read now and then, [WithArrivalCount] is cheaper.
func WithArrivals(fn func(n int)) AnyMapOption {
	return newAnyMapOption(func(c *mapConfig) {
		if fn != nil {
			c.arrivals = append(c.arrivals, fn)
		}
	})
}

// WithArrivalCount adds the number of elements that have succeeded to n as they come in, before they can be read. Nil has no effect.
func WithArrivalCount(n *atomic.Int64) AnyMapOption {
	return newAnyMapOption(func(c *mapConfig) {
		if n != nil {
			c.counts = append(c.counts, n)
		}
	})
}

// Unordered delivers results as they come instead of in the order of the input; within a chunk the order is kept.
func Unordered() MapOption { return mapOption(func(c *mapConfig) { c.unordered = true }) }

// FailFast ends the results at once with the first failure of an element, wherever that is in the input: results that have not been read by
// then are not delivered. Elements that have not begun are withdrawn, and the contexts of running tasks end. Without it the failure of an
// element comes in the element's place, and the map goes on.
func FailFast() MapOption { return mapOption(func(c *mapConfig) { c.failFast = true }) }

// largestChunk keeps sums of chunks within an int.
const largestChunk = math.MaxInt >> 2

func newMapConfig(verb string, opts []MapOption) (mapConfig, error) {
	var c mapConfig
	var problem error
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.forMap(&c); err != nil && problem == nil {
			problem = err
		}
	}
	switch {
	case c.hasChunk && c.chunk < 1:
		problem = fmt.Errorf("the chunk size is %d; it must be at least 1", c.chunk)
	case c.hasBuffer && c.buffer < 1:
		problem = fmt.Errorf("the buffer size is %d; it must be at least 1", c.buffer)
	}
	if problem != nil {
		return c, fmt.Errorf("futures: %s: %w", verb, problem)
	}
	c.chunk = min(max(c.chunk, 1), largestChunk)
	return c, nil
}
