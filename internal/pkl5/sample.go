package pkl5

import (
	"encoding/binary"
	"math/bits"
)

// What is looked at of a segment: a line of the cache at its beginning, one at its end, and one in each block, at a place
// of the block that its number gives. Lines in steps of one length would all be in the same columns of a matrix.
const (
	sampledLine  = 64
	sampledBlock = 64 << 10
	linesInBlock = sampledBlock / sampledLine

	// sampledTogether is how many lines are asked for before the first is used: each takes the time of a look into memory.
	sampledTogether = 16
)

// Sample returns a fingerprint of segments: of their number, their lengths and samples of what is in them.
//
// It is there to find out that memory was used for something else, at about a hundredth of what its transfer costs. Where
// all of a segment, or 128 KiB of it side by side, has other bytes in each of 64, fingerprints differ, but for one case in
// 2⁶⁴ or so; a change of a few elements is found only if a sample happens to be there.
func Sample(segments [][]byte) uint64 {
	h := uint64(len(segments))
	for _, s := range segments {
		h = sample(h, s)
	}
	return h ^ h>>32
}

// sampleFactor and sampleStep are odd, and their bits are in no order: the first decimals of pi and of the golden ratio.
const (
	sampleFactor = 0x243f6a8885a308d3
	sampleStep   = 0x9e3779b97f4a7c15
)

func sample(h uint64, s []byte) uint64 {
	h = stir(h, uint64(len(s)))
	if len(s) < sampledLine {
		var line [sampledLine]byte
		copy(line[:], s)
		return sampleOf(h, &line)
	}
	h = sampleOf(h, (*[sampledLine]byte)(s))
	var places [sampledTogether]int
	number := uint64(len(s))
	for from := 0; from+sampledBlock < len(s); {
		n, first := 0, byte(0)
		for ; n < len(places) && from+sampledBlock < len(s); n++ {
			number += sampleStep
			places[n] = from + int(number>>32%linesInBlock)*sampledLine
			first ^= s[places[n]]
			from += sampledBlock
		}
		h = stir(h, uint64(first))
		for _, at := range places[:n] {
			h = sampleOf(h, (*[sampledLine]byte)(s[at:]))
		}
	}
	return sampleOf(h, (*[sampledLine]byte)(s[len(s)-sampledLine:]))
}

// sampleOf takes a line in.
func sampleOf(h uint64, line *[sampledLine]byte) uint64 {
	a, b := h, ^h
	for i := 0; i < sampledLine; i += 16 {
		a = stir(a, binary.LittleEndian.Uint64(line[i:]))
		b = stir(b, binary.LittleEndian.Uint64(line[i+8:]))
	}
	return stir(a, b)
}

// stir takes a word in. Different words make different numbers of the same h.
func stir(h, word uint64) uint64 { return bits.RotateLeft64(h^word, 29) * sampleFactor }
