package remote_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/remote"
)

// result has errors wherever a value can have some.
type result struct {
	Y      float64
	Err    error
	List   []error
	ByName map[string]error
	Any    any
	Typed  *operation
	Deep   *result
}

// box is an error that has another where errors are not taken out first.
type box struct{ Any any }

func (e *box) Error() string { return fmt.Sprint("box of ", e.Any) }

func results() []*result {
	round := &result{Y: 1, Err: io.EOF}
	round.Deep = round
	all := []*result{{}, round, {Any: &box{&box{&box{&box{&box{&box{io.EOF}}}}}}}}
	for _, err := range samples() {
		all = append(all, &result{
			Y: 2, Err: err, List: []error{nil, err, io.EOF}, ByName: map[string]error{"": nil, "x": err}, Any: err,
			Typed: &operation{"n", err, []error{err}}, Deep: &result{Err: &box{err}, Any: []any{err, 7, &fs.PathError{Op: "o", Err: io.EOF}}},
		})
	}
	return all
}

// told lists all that can be seen of the errors in a value.
func (r *result) told() (all []string) {
	say := func(where string, err error) {
		if err != nil {
			errors.Is(err, io.EOF)
			_ = fmt.Sprintf("%+v", remote.New(remote.Error{}, err))
			all = append(all, where+err.Error())
		}
	}
	seen := map[*result]bool{}
	for ; r != nil && !seen[r]; r = r.Deep {
		seen[r] = true
		all = append(all, fmt.Sprint(math.Float64bits(r.Y), len(r.List), len(r.ByName)))
		say("", r.Err)
		for i, err := range r.List {
			say(fmt.Sprint(i, " "), err)
		}
		for _, name := range slices.Sorted(maps.Keys(r.ByName)) {
			say(name+" ", r.ByName[name])
		}
		err, _ := r.Any.(error)
		say(fmt.Sprintf("%T ", r.Any), err)
		if r.Typed != nil {
			say("typed ", r.Typed)
		}
	}
	return all
}

func registerInside(t testing.TB) *pkl5.Typed[result] {
	t.Helper()
	codec, err := pkl5.Of[result]()
	if err := errors.Join(err, remote.RegisterErrorType[*operation]("operation"), remote.RegisterErrorType[*box]("box")); err != nil {
		t.Fatal(err)
	}
	return codec
}

func encodeInside(t testing.TB, codec *pkl5.Typed[result], r *result) []byte {
	t.Helper()
	e := pkl5.Encoder{Threshold: -1}
	if err := codec.Encode(&e, r); err != nil {
		t.Fatal(err)
	}
	return e.Stream
}

// FuzzInside decodes arbitrary bytes as a value with errors in it. What can be read can be used, and arrives the same when it is sent on.
func FuzzInside(f *testing.F) {
	codec := registerInside(f)
	for _, r := range results() {
		f.Add(encodeInside(f, codec, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(b []byte) (*result, error) {
			r := new(result)
			var d pkl5.Decoder
			d.Reset(b, nil)
			return r, codec.Decode(&d, r)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, problem := read(b)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(b))*1000+1<<20 {
			t.Fatalf("%d bytes made Decode allocate %d", len(b), grown)
		}
		if problem != nil {
			return
		}
		again, problem := read(encodeInside(t, codec, r))
		if problem != nil {
			t.Fatalf("sent on: %v", problem)
		}
		if want, got := r.told(), again.told(); !slices.Equal(want, got) {
			t.Fatalf("sent on,\n%q\nbecame\n%q", want, got)
		}
	})
}

// Errors that are inside of each other cost stack where they are read, and a stack that is full cannot be recovered from.
func TestErrorsThatAreInsideOfEachOtherWithoutEndAreBoundedWhereTheyAreRead(t *testing.T) {
	registerInside(t)
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	number := func(b []byte, n int) []byte { // as package pkl5 writes one
		if n < 0xf8 {
			return append(b, byte(n))
		}
		return append(b, 0xf7+4, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	const typed = 8
	b := remote.Append(nil, io.EOF)
	for level := range 2000 {
		if level == 2 { // these are read, so what is above them has the right form
			if got, _, problem := remote.Decode(b); problem != nil || fmt.Sprintf("%T", got) != "*remote_test.box" || got.Error() != "box of box of EOF" {
				t.Fatalf("%T %v %v", got, got, problem)
			}
		}
		blob := append(number([]byte{1, 1, 0}, len(b)), b...) // a pointer that is not nil, an interface that has an error
		words := "box of " + strings.Repeat("box of ", min(level, 1)) + "EOF"
		b = text([]byte{1, typed}, "box")
		b = text(b, "*remote_test.box")
		b = text(append(b, 1), words)
		b = append(text(b, string(blob)), 0, 0, 0)
	}
	got, _, problem := remote.Decode(b)
	if problem != nil {
		t.Fatal(problem)
	}
	levels := 0
	for e := got; e != nil; levels++ {
		inner, ok := errors.AsType[*box](e)
		if !ok {
			break
		}
		e, _ = inner.Any.(error)
	}
	if levels > 10 {
		t.Errorf("%d levels were read", levels)
	}
}
