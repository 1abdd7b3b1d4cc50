package futures

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// This file says what the results of a function depend on, beside its name, its version and its argument: what a journal finds them by.

// hashed is what texts are condensed to, each with its length.
type hashed []byte

func (h *hashed) add(what string, values ...string) {
	b := *h
	for _, s := range append([]string{what}, values...) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	*h = b
}

func (h hashed) sum() [8]byte {
	all := sha256.Sum256(h)
	return [8]byte(all[:8])
}

// layout condenses the types of a function. Results are decoded as they were encoded, so the machine's kind belongs to it.
func layout[A, R any](fn *function[A, R]) [8]byte {
	var b hashed
	native := binary.NativeEndian.Uint16([]byte{1, 0})
	b.add("form 1", strconv.Itoa(strconv.IntSize), strconv.Itoa(int(native)), strconv.Itoa(int(unsafe.Alignof(struct{ x int64 }{}.x))))
	b.add("types", registry.Describe(typeOf[A]()), registry.Describe(typeOf[R]()))
	if fn.args.Codec().HoldsAny() || fn.result.Codec().HoldsAny() {
		for _, k := range []registry.Kind{registry.Type, registry.ErrorType} {
			for _, t := range registry.Default().Entries(k) {
				b.add(t.Name, registry.Describe(t.Args))
			}
		}
	}
	return b.sum()
}

// dependencies condenses what a result depends on but its function and its argument: what the executor gives its workers.
func dependencies(e *executor, gen *dispatch.Generation, gang int) (sum [8]byte, err error) {
	var b hashed
	segments, err := e.payload.copies()
	if errors.Is(err, os.ErrClosed) {
		err = cmp.Or(e.over(), ErrShutdown)
	}
	if err != nil {
		return sum, err
	}
	from := &unpacking{segments}
	globals := map[string][]byte{}
	for _, g := range e.globals {
		if gen.Value(g.Name) != nil {
			if _, err := from.of(g.Value); err != nil { // it is passed over
				return sum, err
			}
			continue
		}
		if globals[g.Name], err = canonicalAgain(registry.Global, g.Name, g.Value, from); err != nil {
			return sum, fmt.Errorf("global %s: %w", g.Name, err)
		}
	}
	if gen != nil {
		for _, v := range gen.Values {
			value, of, err := packedOf(v.Stream, v.Segments)
			if err == nil {
				globals[v.Name], err = canonicalAgain(registry.Global, v.Name, value, of)
			}
			if err != nil {
				return sum, fmt.Errorf("global %s: %w", v.Name, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(globals)) {
		b.add("global", name, string(globals[name]))
	}
	if i := e.cfg.initializer; i != nil {
		if i.local {
			return sum, fmt.Errorf("results may depend on the initializer %s, a Local function without a lasting name: give it one with Register", i.name)
		}
		if i.refused != nil {
			return sum, fmt.Errorf("the argument of %s, the initializer, cannot be encoded: %w", i.name, i.refused)
		}
		arg, err := canonicalAgain(registry.Function, i.name, i.arg, from)
		if err != nil {
			return sum, fmt.Errorf("initializer %s: %w", i.name, err)
		}
		b.add("initializer", i.name, string(arg))
	}
	if gang > 0 {
		b.add("gang", strconv.Itoa(gang))
	}
	b.add("dir", e.cfg.dir)
	for _, name := range slices.Sorted(maps.Keys(e.cfg.env)) {
		b.add("env", name, e.cfg.env[name])
	}
	return b.sum(), nil
}

// canonicalAgain returns the canonical form of what was encoded for the workers.
func canonicalAgain(kind registry.Kind, name string, v packed, from *unpacking) ([]byte, error) {
	e, ok := registry.Default().Find(kind, name)
	if !ok {
		return nil, errors.New("it is not registered")
	}
	d, err := from.of(v)
	if err != nil {
		return nil, err
	}
	return e.Body.(interface {
		canonical(d *pkl5.Decoder) ([]byte, error)
	}).canonical(d)
}

func (g *global[T]) canonical(d *pkl5.Decoder) ([]byte, error)  { return canonicalOf(g.codec, d) }
func (b *body[A, R]) canonical(d *pkl5.Decoder) ([]byte, error) { return canonicalOf(b.fn.args, d) }

func canonicalOf[T any](codec *pkl5.Typed[T], d *pkl5.Decoder) ([]byte, error) {
	var v T
	if err := codec.Decode(d, &v); err != nil {
		return nil, err
	}
	e := pkl5.Encoder{Threshold: -1, Canonical: true}
	err := codec.Encode(&e, &v)
	return e.Stream, err
}
