package futures

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// Set gives the global another value, for the calls and maps that are submitted to the executor from its return on. What was submitted
// before keeps the value that it had, however late and however often it runs: a map over a sequence of which elements are still to be drawn,
// a call of [SubmitAfter] that waits, a task that runs again after the loss of its worker. A worker that takes the place of another has what its
// tasks need. Set waits for no task, and none for it.
//
// The executor must have been made with a [WithGlobal] for the global. Initializers see that value, also in a worker that is started later. The function that
// opens a [State] sees what the task sees that opens it. In a journal ([WithJournal]) calls are known by the value that they find.
//
// The value is encoded and copied before Set returns, and may change afterwards. One that is larger than the memory that this process may have is an error. It travels to a process with the
// first task there that needs it. Workers that are goroutines share it; each local process and each rank has a copy, which its slots share.
// A worker lets go of the old value when it is handed a task that needs a newer one, and in its process no task needs the old one, and none waits that does.
// The master lets go of it when all workers have, every call that was submitted with it is done, and the program holds no future of them. The value of
// [WithGlobal] is there as long as the executor.
//
// Set starts the scheduler, as [Submit] does, and blocks for as long as that and the encoding take. Its errors are those of [Submit], one that matches [ErrGlobalNotSet] without a
// [WithGlobal], and one in a task of a [ThreadPoolExecutor] for that executor. After an error the value is what it was.
func (g Global[T]) Set(ex Executor, value T) error {
	if g.g == nil {
		return errNoGlobal
	}
	e, err := baseOf(ex)
	if err != nil {
		return err
	}
	err = e.setGlobal(g.g.name, func(enc *pkl5.Encoder) error { return g.g.codec.Encode(enc, &value) })
	if err != nil {
		return fmt.Errorf("futures: global %q is not set: %w", g.g.name, err)
	}
	return nil
}

var errSetInTask = errors.New("a task cannot set it for its own executor: call Set where maps and calls are submitted")

// setGlobal makes a generation that has another value of a global.
func (e *executor) setGlobal(name string, encode func(*pkl5.Encoder) error) error {
	if !slices.ContainsFunc(e.globals, func(g globalValue) bool { return g.Name == name }) {
		return fmt.Errorf("the executor was made without a first value: give it one with WithGlobal, and Set can replace it (%w)", ErrGlobalNotSet)
	}
	if e.home != nil && e.home.Inside() {
		return errSetInTask
	}
	m, err := e.started()
	if err != nil {
		return err
	}
	if err := m.Refusal(); err != nil {
		return refusal(err)
	}
	now := e.generation.Load()
	p := payload{threshold: e.payload.threshold, size: e.payload.size + sizeWithout(name, now)}
	v, err := p.pack("it", encode)
	if err != nil {
		return err
	}
	value := &dispatch.Value{Name: name, Stream: append([]byte{0}, v.Stream...), Segments: p.pieces}
	if v.Apart {
		value.Stream[0] = 1
	}
	var shared any
	if e.backend == backendThreads {
		if gone := apart(func() { shared, err = decodeValue(value.Name, value.Stream, value.Segments) }); gone != nil {
			err = gone
		}
		if err != nil {
			return err
		}
	}
	e.setting.Lock()
	defer e.setting.Unlock()
	e.generation.Store(follow(e.generation.Load(), value, shared))
	return nil
}

// sizeWithout is what the values of a generation take but for one.
func sizeWithout(name string, g *dispatch.Generation) (n uint64) {
	if g == nil {
		return 0
	}
	for _, v := range g.Values {
		if v.Name == name {
			continue
		}
		n += uint64(len(v.Stream))
		for _, s := range v.Segments {
			n += uint64(len(s))
		}
	}
	return n
}

// follow returns the generation after one, which may be nil. Shared is the value where workers share it, and else nil.
func follow(g *dispatch.Generation, value *dispatch.Value, shared any) *dispatch.Generation {
	number, all := uint64(1), []*dispatch.Value{value}
	held := map[string]any{}
	if g != nil {
		number = g.Number + 1
		for _, v := range g.Values {
			if v.Name != value.Name {
				all = append(all, v)
			}
		}
		if old, ok := g.Shared.(map[string]any); ok {
			held = maps.Clone(old)
		}
	}
	if shared == nil {
		return dispatch.NewGeneration(number, all, nil)
	}
	held[value.Name] = shared
	return dispatch.NewGeneration(number, all, held)
}

// packedOf returns what was packed into a value that travels by itself.
func packedOf(stream []byte, segments [][]byte) (packed, *unpacking, error) {
	if len(stream) == 0 {
		return packed{}, nil, errPayload
	}
	return packed{Stream: stream[1:], Apart: stream[0] == 1, Segments: len(segments)}, &unpacking{segments}, nil
}

// decodeValue decodes a value that travels by itself.
func decodeValue(name string, stream []byte, segments [][]byte) (any, error) {
	v, from, err := packedOf(stream, segments)
	if err != nil {
		return nil, err
	}
	return decodeGlobal(globalValue{name, v}, from)
}

// decodeGlobal decodes the next value of what has come.
func decodeGlobal(gv globalValue, from *unpacking) (any, error) {
	e, ok := registry.Default().Find(registry.Global, gv.Name)
	if !ok {
		return nil, fmt.Errorf("global %q is not registered in this worker", gv.Name)
	}
	d, err := from.of(gv.Value)
	if err != nil {
		return nil, fmt.Errorf("global %q: %w", gv.Name, err)
	}
	v, err := e.Body.(interface {
		decode(d *pkl5.Decoder) (any, error)
	}).decode(d)
	if err != nil {
		return nil, fmt.Errorf("global %q cannot be decoded: %w", gv.Name, err)
	}
	return v, nil
}

// found is where Get looks: among values that were set since the start, and then among those of the set-up.
type found struct {
	values map[string]any
	under  *found
}

// value returns that of a global.
func (f *found) value(name string) (v any, ok bool) {
	for ; f != nil; f = f.under {
		if v, ok = f.values[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// withFound returns a context in which Get finds values, and what it found before.
func withFound(ctx context.Context, values map[string]any) context.Context {
	under, _ := ctx.Value(globalsKey{}).(*found)
	return context.WithValue(ctx, globalsKey{}, &found{values, under})
}

// sharedValues are those of workers that share this process's memory.
type sharedValues struct{}

func (sharedValues) Add(uint64, []dispatch.Received) {}
func (sharedValues) Forget(uint64)                   {}
func (sharedValues) Context(tasks context.Context, _ uint64, shared any) (context.Context, error) {
	values, _ := shared.(map[string]any)
	return withFound(tasks, values), nil
}

// generations are what a process was sent: it implements dispatch.Values.
type generations struct {
	left chan struct{} // closed when the worker has left that they come to
	end  func()        // closes it

	mu  sync.Mutex
	all map[uint64]*generation
}

// generation is one of them.
type generation struct {
	there chan struct{}    // closed when it has come
	parts map[string]*part // by the names of the values
	err   error            // why they cannot be had
}

// part is a value as it has come. Several generations can have it.
type part struct {
	once sync.Once
	come dispatch.Received // until it is decoded

	value any
	err   error
}

// decoded returns the value. The first to ask decodes it.
func (p *part) decoded() (any, error) {
	p.once.Do(func() {
		p.err = errNotDecoded
		if gone := apart(func() { p.value, p.err = decodeValue(p.come.Name, p.come.Stream, p.come.Segments) }); gone != nil {
			p.err = gone
		}
		p.come = dispatch.Received{}
	})
	return p.value, p.err
}

func newGenerations() *generations {
	left := make(chan struct{})
	return &generations{left: left, end: sync.OnceFunc(func() { close(left) }), all: map[uint64]*generation{}}
}

// find returns a generation, whether it has come or not. The lock is held.
func (a *generations) find(number uint64) *generation {
	g := a.all[number]
	if g == nil {
		g = &generation{there: make(chan struct{})}
		a.all[number] = g
	}
	return g
}

// Add implements dispatch.Values.
func (a *generations) Add(number uint64, values []dispatch.Received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.find(number)
	if g.isThere() { // it was sent by another way before
		return
	}
	g.parts = make(map[string]*part, len(values))
	for _, v := range values {
		if v.From == 0 {
			g.parts[v.Name] = &part{come: v}
		} else if of := a.all[v.From]; of != nil && of.isThere() && of.parts[v.Name] != nil {
			g.parts[v.Name] = of.parts[v.Name]
		} else {
			g.err = fmt.Errorf("global %q is said to be that of generation %d, which is not here: %w", v.Name, v.From, errPayload)
		}
	}
	close(g.there)
}

// Forget implements dispatch.Values. What is only waited for is still to come.
func (a *generations) Forget(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.all[number]; g != nil && g.isThere() {
		delete(a.all, number)
	}
}

// Context implements dispatch.Values.
func (a *generations) Context(tasks context.Context, number uint64, _ any) (context.Context, error) {
	a.mu.Lock()
	g := a.find(number)
	a.mu.Unlock()
	if err := g.await(tasks, a.left); err != nil {
		return nil, err
	}
	values, err := g.decoded()
	if err != nil {
		return nil, err
	}
	return withFound(tasks, values), nil
}

var errCarrierLeft = errors.New("the values that were set since the start of the executor have not come, because the first slot of this process was lost")

// await waits until the generation has come.
func (g *generation) await(tasks context.Context, left <-chan struct{}) error {
	select {
	case <-g.there:
		return nil
	case <-tasks.Done():
		return context.Cause(tasks)
	case <-left:
	}
	if !g.isThere() {
		return errCarrierLeft
	}
	return nil
}

// isThere tells whether it has come.
func (g *generation) isThere() bool {
	select {
	case <-g.there:
		return true
	default:
		return false
	}
}

// decoded returns the values of a generation that has come.
func (g *generation) decoded() (map[string]any, error) {
	if g.err != nil {
		return nil, g.err
	}
	values := make(map[string]any, len(g.parts))
	for name, p := range g.parts {
		v, err := p.decoded()
		if err != nil {
			return nil, err
		}
		values[name] = v
	}
	return values, nil
}
