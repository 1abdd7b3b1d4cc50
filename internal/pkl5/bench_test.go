package pkl5_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
)

type record struct {
	ID    int
	Name  string
	Score float64
	OK    bool
	Tags  []int32
}

// roundTrips measures encoding and decoding of v by this package and by gob, whose encoder and decoder have sent
// the type already.
func roundTrips[T any](b *testing.B, name string, v T, size int) {
	b.Run(name+"/pkl5", func(b *testing.B) {
		c, err := pkl5.Of[T]()
		if err != nil {
			b.Fatal(err)
		}
		var e pkl5.Encoder
		var d pkl5.Decoder
		b.ReportAllocs()
		b.SetBytes(int64(size))
		for b.Loop() {
			e.Reset()
			if err := c.Encode(&e, &v); err != nil {
				b.Fatal(err)
			}
			d.Reset(e.Stream, e.Segments)
			var out T
			if err := c.Decode(&d, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/gob", func(b *testing.B) {
		var buf bytes.Buffer
		e, d := gob.NewEncoder(&buf), gob.NewDecoder(&buf)
		b.ReportAllocs()
		b.SetBytes(int64(size))
		for b.Loop() {
			if err := e.Encode(&v); err != nil {
				b.Fatal(err)
			}
			var out T
			if err := d.Decode(&out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	roundTrips(b, "int", 123456, 8)
	roundTrips(b, "struct", record{7, "a name", 2.5, true, []int32{1, 2, 3}}, 60)
	m := map[string]int{}
	var s []string
	for i := range 100 {
		m[fmt.Sprint("key", i)] = i
		s = append(s, fmt.Sprint("text", i))
	}
	roundTrips(b, "map", m, 2400)
	roundTrips(b, "strings", s, 2200)
	roundTrips(b, "floats", make([]float64, 1000), 8000)
	var list *node
	for i := range 100 {
		list = &node{i, list}
	}
	roundTrips(b, "list", list, 1600)
}

// BenchmarkLargeSlice compares 16 MiB kept in band with a plain copy of them, and with what goes out of band.
func BenchmarkLargeSlice(b *testing.B) {
	v := make([]float64, 2<<20)
	for i := range v {
		v[i] = float64(i)
	}
	c, err := pkl5.Of[[]float64]()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(16 << 20)
		b.ReportAllocs()
		for b.Loop() {
			_ = append([]float64(nil), v...)
		}
	})
	for name, e := range map[string]*pkl5.Encoder{"aliased": {}, "snapshot": {Snapshot: true}} {
		b.Run(name, func(b *testing.B) {
			var d pkl5.Decoder
			b.SetBytes(16 << 20)
			b.ReportAllocs()
			for b.Loop() {
				e.Reset()
				if err := c.Encode(e, &v); err != nil {
					b.Fatal(err)
				}
				d.Reset(e.Stream, e.Segments)
				var out []float64
				if err := c.Decode(&d, &out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncodeInt shows the cost of a call.
func BenchmarkEncodeInt(b *testing.B) {
	c, err := pkl5.Of[int]()
	if err != nil {
		b.Fatal(err)
	}
	var e pkl5.Encoder
	v := 77
	for b.Loop() {
		e.Stream = e.Stream[:0]
		_ = c.Encode(&e, &v)
	}
}

func BenchmarkDecodeInt(b *testing.B) {
	c, err := pkl5.Of[int]()
	if err != nil {
		b.Fatal(err)
	}
	var d pkl5.Decoder
	stream := []byte{100}
	var v int
	for b.Loop() {
		d.Reset(stream, nil)
		_ = c.Decode(&d, &v)
	}
}
