package pkl5_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// loud has pointer methods and can be made to fail.
type loud struct{ text string }

func (l *loud) MarshalBinary() ([]byte, error) {
	switch l.text {
	case "fail":
		return nil, io.ErrClosedPipe
	case "panic":
		panic(io.ErrNoProgress)
	}
	return []byte(l.text + "!"), nil
}

func (l *loud) UnmarshalBinary(b []byte) error {
	switch string(b) {
	case "refuse!":
		return io.ErrShortWrite
	case "burst!":
		panic("no luck")
	}
	l.text = string(b)
	return nil
}

type texted struct{ n int }

func (x texted) MarshalText() ([]byte, error) { return []byte(strings.Repeat("x", x.n)), nil }
func (x *texted) UnmarshalText(b []byte) error {
	x.n = len(b)
	return nil
}

type appended struct{ b []byte }

func (a appended) AppendBinary(b []byte) ([]byte, error) { return append(b, a.b...), nil }
func (a *appended) UnmarshalBinary(b []byte) error {
	a.b = append([]byte("got "), b...)
	return nil
}

// lent has its methods from the time inside it.
type lent struct {
	time.Time
	Name string
}

// kept embeds a time but has methods of its own.
type kept struct {
	time.Time
	Name string
}

func (k kept) MarshalBinary() ([]byte, error) { return []byte(k.Name), nil }
func (k *kept) UnmarshalBinary(b []byte) error {
	k.Name = "own " + string(b)
	return nil
}

type oneWay struct{ N int }

func (oneWay) MarshalText() ([]byte, error) { return []byte("lost"), nil }

func TestMarshallersAreHonoured(t *testing.T) {
	if got := send(t, &pkl5.Encoder{}, []loud{{"a"}, {""}}); got[0].text != "a!" || got[1].text != "!" {
		t.Errorf("%v", got)
	}
	if got := send(t, &pkl5.Encoder{}, map[string]*loud{"k": {"v"}, "nil": nil}); got["k"].text != "v!" || got["nil"] != nil {
		t.Errorf("%v", got)
	}
	if got := send(t, &pkl5.Encoder{}, [2]texted{{3}, {300}}); got != [2]texted{{3}, {300}} {
		t.Errorf("%v", got)
	}
	e := pkl5.Encoder{Threshold: 4}
	got := send(t, &e, []appended{{[]byte("abc")}, {[]byte("abcd")}, {[]byte("efgh")}})
	if string(got[0].b) != "got abc" || string(got[1].b) != "got abcd" || string(got[2].b) != "got efgh" || len(e.Segments) != 2 {
		t.Errorf("%q with %d segments", got, len(e.Segments))
	}
	if got := send(t, &pkl5.Encoder{}, oneWay{5}); got.N != 5 {
		t.Errorf("a type with half a pair lost its field: %v", got)
	}
}

func TestMethodsLentByAnEmbeddedFieldLoseNothing(t *testing.T) {
	at := time.Unix(5, 0).UTC()
	if got := send(t, &pkl5.Encoder{}, lent{at, "n"}); got.Name != "n" || !got.Equal(at) {
		t.Errorf("%v", got)
	}
	if got := send(t, &pkl5.Encoder{}, struct {
		*time.Time
		N int
	}{&at, 4}); got.N != 4 || !got.Equal(at) {
		t.Errorf("%v", got)
	}
	if got := send(t, &pkl5.Encoder{}, kept{at, "n"}); got.Name != "own n" {
		t.Errorf("own methods were not used: %v", got)
	}
}

func TestFailingMarshallersAreErrorsWithAPath(t *testing.T) {
	type job struct {
		Items map[string][]loud
		Next  *job
	}
	c, err := pkl5.Of[job]()
	if err != nil {
		t.Fatal(err)
	}
	const path = `pkl5_test.job.Next.Next.Items["k"][1]`
	for text, want := range map[string]error{"fail": io.ErrClosedPipe, "panic": io.ErrNoProgress} {
		in := job{Next: &job{Next: &job{Items: map[string][]loud{"k": {{}, {text}}}}}}
		e := pkl5.Encoder{Stream: []byte("kept"), Segments: [][]byte{{1}}}
		err := c.Encode(&e, &in)
		var v *pkl5.ValueError
		if !errors.Is(err, want) || !errors.As(err, &v) || v.Path != path || string(e.Stream) != "kept" || len(e.Segments) != 1 {
			t.Errorf("%s: %v, stream %q, %d segments", text, err, e.Stream, len(e.Segments))
		}
		in.Next.Next.Items = nil
		e.Reset()
		if err := c.Encode(&e, &in); err != nil {
			t.Errorf("the encoder is unusable after an error: %v", err)
		}
	}
	for text, want := range map[string]string{
		"refuse": `pkl5: pkl5_test.job.Items["k"][0]: UnmarshalBinary: short write`,
		"burst":  `pkl5: pkl5_test.job.Items["k"][0]: UnmarshalBinary panicked: no luck`,
	} {
		in := job{Items: map[string][]loud{"k": {{text}}}}
		var e pkl5.Encoder
		if err := c.Encode(&e, &in); err != nil {
			t.Fatal(err)
		}
		var d pkl5.Decoder
		d.Reset(e.Stream, e.Segments)
		err := c.Decode(&d, new(job))
		if err == nil || err.Error() != want || text == "refuse" && !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnsendableTypesAreRefusedWithTheirPath(t *testing.T) {
	type inner struct {
		ch chan int
	}
	type job struct {
		Name string
		Done map[string][]*inner
	}
	type state struct{ Once sync.Once }
	_, _ = inner{nil}.ch, &state{}
	for _, tc := range []struct {
		typ        reflect.Type
		path, what string
	}{
		{reflect.TypeFor[job](), "pkl5_test.job.Done[][].ch", "chan int"},
		{reflect.TypeFor[func()](), "func()", "func()"},
		{reflect.TypeFor[map[unsafe.Pointer]int](), "map[unsafe.Pointer]int[key]", "unsafe.Pointer"},
		{reflect.TypeFor[state](), "pkl5_test.state.Once", "sync.Once"},
		{reflect.TypeFor[atomic.Pointer[int]](), "atomic.Pointer[int]", "atomic.Pointer[int]"},
		{reflect.TypeFor[[]strings.Builder](), "[]strings.Builder[]", "strings.Builder"},
	} {
		for range 2 {
			_, err := pkl5.Compile(tc.typ)
			var u *pkl5.UnsupportedError
			if !errors.As(err, &u) || u.Path != tc.path || u.Type.String() != tc.what {
				t.Errorf("%s: %v", tc.typ, err)
			}
		}
	}
	if _, err := pkl5.Compile(nil); err == nil {
		t.Error("Compile(nil) succeeded")
	}
}

func TestLocksArriveUnlockedAndAtomicsWithTheirValue(t *testing.T) {
	type guarded struct {
		mu sync.Mutex
		rw sync.RWMutex
		N  int
		a  atomic.Int64
		b  atomic.Bool
		u  atomic.Uint32
	}
	c, err := pkl5.Of[guarded]()
	if err != nil {
		t.Fatal(err)
	}
	var in, out guarded
	in.mu.Lock()
	in.rw.RLock()
	in.N = 4
	in.a.Store(-9)
	in.b.Store(true)
	in.u.Store(1<<32 - 1)
	var e pkl5.Encoder
	if err := c.Encode(&e, &in); err != nil {
		t.Fatal(err)
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, nil)
	if err := c.Decode(&d, &out); err != nil {
		t.Fatal(err)
	}
	if !out.mu.TryLock() || !out.rw.TryLock() || out.N != 4 || out.a.Load() != -9 || !out.b.Load() || out.u.Load() != 1<<32-1 {
		t.Errorf("%d %d %v %d", out.N, out.a.Load(), out.b.Load(), out.u.Load())
	}
}

type shape interface{ area() int }

type square struct{ Side int }

func (s square) area() int { return s.Side * s.Side }

type pinned struct{ P *int }

func (p pinned) area() int { return *p.P }

func TestInterfacesCarryRegisteredTypes(t *testing.T) {
	type job struct {
		Shapes []shape
		Any    map[string]any
	}
	c, err := pkl5.Of[job]()
	if err != nil {
		t.Fatal(err)
	}
	bad := job{Any: map[string]any{"k": struct{ X int }{1}}}
	err = c.Encode(&pkl5.Encoder{}, &bad)
	var v *pkl5.ValueError
	if !errors.Is(err, pkl5.ErrUnregistered) || !errors.As(err, &v) || v.Path != `pkl5_test.job.Any["k"]` || !strings.Contains(err.Error(), "RegisterType") {
		t.Errorf("unregistered: %v", err)
	}
	for range 2 {
		if err := errors.Join(pkl5.RegisterType("square", reflect.TypeFor[square]()), pkl5.RegisterType("pinned", reflect.TypeFor[pinned]())); err != nil {
			t.Fatal(err)
		}
	}
	n := 6
	sq := &square{4}
	got := send(t, &pkl5.Encoder{}, job{[]shape{square{3}, sq, sq, nil, pinned{&n}, &pinned{&n}}, map[string]any{"a": square{5}, "b": false}})
	if got.Shapes[0].area() != 9 || got.Shapes[1] != got.Shapes[2] || got.Shapes[1].area() != 16 || got.Shapes[3] != nil {
		t.Errorf("%v", got.Shapes)
	}
	if p, q := got.Shapes[4].(pinned), got.Shapes[5].(*pinned); p.P != q.P || *p.P != 6 || got.Any["a"] != (square{5}) {
		t.Errorf("%v", got)
	}
	for name, typ := range map[string]reflect.Type{
		"square": reflect.TypeFor[loud](), "other": reflect.TypeFor[square](), "": reflect.TypeFor[loud](), "*x": reflect.TypeFor[loud](),
		"shape": reflect.TypeFor[shape](), "chan": reflect.TypeFor[chan int](), "nil": nil,
	} {
		if err := pkl5.RegisterType(name, typ); err == nil {
			t.Errorf("RegisterType(%q, %v) succeeded", name, typ)
		} else {
			t.Log(err)
		}
	}
}

func TestTypesCompileTogether(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, v := range values() {
				transfer(t, v, 0)
			}
		})
	}
	wg.Wait()
}
