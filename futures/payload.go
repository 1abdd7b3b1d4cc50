package futures

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/hostmem"
	"github.com/rankpool/rankpool/internal/memlimit"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// Globals and the initializer's argument are the same for all workers, so they are encoded once, when the executor is made, and what is
// large of them is copied once: into memory that local processes share, or where the workers are ranks or goroutines, into this
// process's own.

// pack encodes what the options have set for all workers.
func (e *executor) pack() (problems []error) {
	p := &e.payload
	env, _ := e.environment(slog.New(slog.DiscardHandler)) // the start complains
	if p.threshold = e.chooseThreshold(env); p.threshold > 0 {
		p.threshold = max(p.threshold, leastSegment)
	}
	if e.class != threadClass {
		p.share = func() bool { return e.class == processClass || e.Backend() == backendProcesses }
	}
	for _, g := range e.cfg.globals {
		v, err := p.pack(g.name, g.encode)
		if err != nil {
			problems = append(problems, fmt.Errorf("WithGlobal: %w", err))
		}
		e.globals = append(e.globals, globalValue{g.name, v})
	}
	e.cfg.globals = nil // the values are the caller's
	i := e.cfg.initializer
	if i == nil || i.encode == nil {
		return problems
	}
	var err error
	if e.class == threadClass { // the argument is shared, and may change; a journal asks for what it was
		enc := pkl5.Encoder{Threshold: -1}
		i.refused = i.encode(&enc)
		i.arg.Stream = enc.Stream
	} else {
		if i.arg, err = p.pack("the argument of "+i.name, i.encode); err != nil {
			problems = append(problems, fmt.Errorf("WithInitializer: %w", err))
		}
		i.call = nil
	}
	i.encode = nil
	return problems
}

// packed is a value on its way to all workers.
type packed struct {
	Stream   []byte // what was encoded in band, unless it is Apart
	Apart    bool   // the stream is large and the first of the segments
	Segments int    // how many of the payload are this value's, in order
}

// payload is the segments of an executor's set-up.
type payload struct {
	threshold int

	mu      sync.Mutex
	share   func() bool     // whether the workers will be local processes, as far as that is known; nil once it was asked
	shared  *hostmem.Memory // where the segments are; nil as long as there are none, and where they are in pieces
	pieces  [][]byte
	size    uint64
	refused error // why they are in pieces though they should be shared
}

// leastSegment is the least size of a segment: each costs ranks a message.
const leastSegment = 4 << 10

// pack takes a value. The caller may change it afterwards.
func (p *payload) pack(what string, encode func(e *pkl5.Encoder) error) (packed, error) {
	e := pkl5.Encoder{Threshold: p.threshold}
	if err := encode(&e); err != nil {
		return packed{}, fmt.Errorf("%s cannot be encoded: %w", what, err)
	}
	size := uint64(len(e.Stream))
	for _, s := range e.Segments {
		size += uint64(len(s))
	}
	if limit := memlimit.Bytes(); size > limit || p.size > limit-size {
		of := ""
		if p.size > 0 {
			of = fmt.Sprintf(", with what is set for the workers already %s", inBytes(p.size+size))
		}
		return packed{}, fmt.Errorf("%s takes %s%s, and this process may use %s of memory: have an initializer open a file, or give each "+
			"call the part that it needs", what, inBytes(size), of, inBytes(limit))
	}
	p.size += size
	v := packed{Stream: e.Stream, Segments: len(e.Segments)}
	if p.threshold >= 0 && len(e.Stream) >= pkl5.DefaultThreshold {
		v.Stream, v.Apart = nil, true
		v.Segments++
		if err := p.add(e.Stream); err != nil {
			return packed{}, err
		}
	}
	for i, s := range e.Segments {
		if err := p.add(s); err != nil {
			return packed{}, err
		}
		e.Segments[i] = nil
	}
	return v, nil
}

// add copies a segment.
func (p *payload) add(b []byte) error {
	if p.share != nil && p.share() {
		p.shared, p.refused = hostmem.New()
	}
	p.share = nil
	if p.shared != nil {
		err := p.shared.Append(b)
		if err == nil {
			return nil
		}
		if err := p.leave(); err != nil {
			return err
		}
		p.refused = err
	}
	p.pieces = append(p.pieces, append([]byte(nil), b...))
	return nil
}

// own moves the segments to memory of this process, and returns them.
func (p *payload) own() ([][]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.leave()
	return p.pieces, err
}

// forGoroutines returns the segments for workers that are goroutines. Globals are read-only, so they are shared; the argument of the
// initializer, which is the last value, may be written to, and what was packed stays as it was.
func (p *payload) forGoroutines(i *initializer) ([][]byte, error) {
	segments, err := p.own()
	if i == nil || err != nil {
		return segments, err
	}
	segments = slices.Clone(segments)
	for k := len(segments) - i.arg.Segments; k < len(segments); k++ {
		segments[k] = append([]byte(nil), segments[k]...)
	}
	return segments, nil
}

// leave moves the segments from shared memory to this process's own.
func (p *payload) leave() (err error) {
	if p.shared == nil {
		return nil
	}
	if p.pieces, err = p.shared.Pieces(); err != nil {
		return err
	}
	err = p.shared.Close()
	p.shared = nil
	return err
}

// forProcesses returns the memory that local processes inherit; nil where there is nothing, or nothing that can be shared.
func (p *payload) forProcesses() (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil && len(p.pieces) > 0 && p.refused == nil { // nobody knew that there would be local processes
		pieces := p.pieces
		p.pieces, p.share = nil, func() bool { return true }
		for i, b := range pieces {
			if err := p.add(b); err != nil {
				return nil, err
			}
			pieces[i] = nil
		}
	}
	if p.shared == nil {
		return nil, nil
	}
	if err := p.shared.Seal(); err != nil {
		p.refused = err
		return nil, p.leave()
	}
	return p.shared.File(), nil
}

// refusal is why the segments could not be put where local processes can share them, on a system where that is possible.
func (p *payload) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.refused, errors.ErrUnsupported) {
		return nil
	}
	return p.refused
}

// travels returns what goes with the set-up of each worker, and the size of what does not.
func (p *payload) travels(backend string) (segments [][]byte, load uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared != nil || backend == backendThreads {
		return nil, p.size
	}
	return p.pieces, 0
}

// copies returns the segments in memory of this process.
func (p *payload) copies() ([][]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil {
		return p.pieces, nil
	}
	return p.shared.Pieces()
}

// unpacking hands out the segments of a payload, value by value, in the order in which they were packed.
type unpacking struct{ segments [][]byte }

var errPayload = errors.New("the set-up has fewer buffers than it names")

// of returns a decoder of the next value.
func (u *unpacking) of(v packed) (*pkl5.Decoder, error) {
	if v.Segments < 0 || v.Segments > len(u.segments) || v.Apart && v.Segments == 0 {
		return nil, errPayload
	}
	mine := u.segments[:v.Segments:v.Segments]
	u.segments = u.segments[v.Segments:]
	stream := v.Stream
	if v.Apart {
		stream, mine = mine[0], mine[1:]
	}
	d := new(pkl5.Decoder)
	d.Reset(stream, mine)
	return d, nil
}

// inBytes says a size for people.
func inBytes(n uint64) string {
	const units = "KMGTPE"
	size, unit := float64(n), -1
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	if unit < 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}
