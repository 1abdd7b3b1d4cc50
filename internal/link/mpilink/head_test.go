package mpilink

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// apart is what eachHead makes of a message.
func apart(message []byte) (all []string, ok bool) {
	var w wire
	ok = w.eachHead(message, func(h head) {
		all = append(all, fmt.Sprintf("%q of %d, number %d, kind %c", h.data, h.id, h.number, h.kind))
	})
	return all, ok
}

func numbered(b []byte, number uint32) []byte {
	setNumber(b, number)
	return b
}

func TestAMessageComesApartInTheOrderOfItsHeads(t *testing.T) {
	message := slices.Concat(
		numbered(trail([]byte("first"), 7, kindFrame), 1), numbered(trail(nil, 8, kindFinish), 2),
		numbered(trail([]byte(strings.Repeat("x", 1000)), 7, kindNote), 3))
	got, ok := apart(message)
	want := []string{`"first" of 7, number 1, kind f`, `"" of 8, number 2, kind q`,
		`"` + strings.Repeat("x", 1000) + `" of 7, number 3, kind n`}
	if !ok || !slices.Equal(got, want) {
		t.Errorf("%v, %q", ok, got)
	}
}

func TestOfAMessageWithAWrongLengthNothingIsTaken(t *testing.T) {
	whole := trail([]byte("first"), 7, kindFrame)
	wrong := func(n int) []byte {
		b := trail([]byte("second"), 8, kindFrame)
		b[len(b)-2], b[len(b)-1] = byte(n), byte(n>>8)
		return b
	}
	for name, message := range map[string][]byte{
		"nothing":                  {},
		"less than a tail":         whole[6:],
		"too long":                 wrong(7),
		"the largest":              wrong(1<<16 - 1),
		"too short":                wrong(5),
		"behind one that is right": slices.Concat(whole, wrong(7)),
		"before one that is right": slices.Concat(wrong(7), whole),
		"all of the rest":          slices.Concat(whole, wrong(6+len(whole)+1)),
		"something before":         slices.Concat([]byte("abc"), whole),
	} {
		if got, ok := apart(message); ok || len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzHeads(f *testing.F) {
	f.Add(slices.Concat(trail([]byte("first"), 7, kindFrame), trail(nil, 8, kindCut), trail([]byte{1, 2}, 9, kindParts)))
	f.Add(append(trail([]byte("first"), 7, kindFrame), trail(make([]byte, 300), 8, kindEnded)[1:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		taken, w := 0, wire{}
		ok := w.eachHead(b, func(h head) {
			taken++
			again = append(again, numbered(trail(append([]byte(nil), h.data...), h.id, h.kind), h.number)...)
		})
		if ok != (taken > 0) || ok && string(again) != string(b) {
			t.Errorf("%v: %q became %q", ok, b, again)
		}
	})
}
