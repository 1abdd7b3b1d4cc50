package futures

import (
	"encoding/binary"
	"slices"
)

// shelf keeps what has come in of a Map and was not read, by a number that says when it is its turn. Small results are copied out of
// the frames that brought them, which are far larger, and stand one behind the other in pages: beyond its encoded bytes a result
// takes a word of the index and a few bytes.
type shelf struct {
	chunk     int  // elements in a unit
	unordered bool // the numbers are not those of the first elements

	index map[int]*shelfBlock // by number / len(at)
	pages []*shelfPage        // the first is page number base; nil: all of it was read
	base  int
	rest  map[int]incoming // what is large, failed or has segments
}

type shelfBlock struct {
	used int
	at   [64]uint64 // page number << pageBits | offset, plus one; 0: nothing
}

type shelfPage struct {
	b      []byte
	unread int
}

const (
	pageBits     = 14
	pageSize     = 1 << pageBits
	largestShelf = pageSize // what is larger has memory of its own
	longestHead  = 3 * binary.MaxVarintLen64
)

// put takes in what has come. Small data is copied, which it tells: then the frame's memory is free.
func (s *shelf) put(number int, a incoming) (copied bool) {
	small := len(a.data) <= largestShelf
	if !small || a.err != nil || a.raw || a.values != nil || len(a.segs) > 0 {
		if copied = small && len(a.data) > 0; copied {
			a.data = slices.Clone(a.data)
		}
		if s.rest == nil {
			s.rest = map[int]incoming{}
		}
		s.rest[number] = a
		return copied
	}
	p := s.page(longestHead)
	at := uint64(s.base+len(s.pages)-1)<<pageBits | uint64(len(p.b))
	n := uint64(a.n) << 1
	if a.local {
		n |= 1
	}
	p.b = binary.AppendUvarint(p.b, n)
	if s.unordered {
		p.b = binary.AppendUvarint(p.b, uint64(a.first))
	}
	p.b = binary.AppendUvarint(p.b, uint64(len(a.data)))
	p.unread++
	for data := a.data; ; { // what does not fit goes on in the next page
		k := min(len(data), cap(p.b)-len(p.b))
		p.b = append(p.b, data[:k]...)
		if data = data[k:]; len(data) == 0 {
			break
		}
		p = s.page(1)
		p.unread++
	}
	s.block(number).put(number, at+1)
	return true
}

// page returns the page that new data goes to, with so much room.
func (s *shelf) page(room int) *shelfPage {
	if n := len(s.pages); n > 0 {
		p := s.pages[n-1]
		if cap(p.b)-len(p.b) >= room {
			return p
		}
		if p.unread == 0 { // the reader has kept up
			s.pages[n-1] = nil
			s.forget()
		}
	}
	size := pageSize
	if len(s.pages) == 0 && s.base == 0 {
		size = pageSize / 8 // of the many maps that are short
	}
	p := &shelfPage{b: make([]byte, 0, size)}
	s.pages = append(s.pages, p)
	return p
}

func (s *shelf) block(number int) *shelfBlock {
	if s.index == nil {
		s.index = map[int]*shelfBlock{}
	}
	k := number / len(shelfBlock{}.at)
	b := s.index[k]
	if b == nil {
		b = new(shelfBlock)
		s.index[k] = b
	}
	return b
}

func (b *shelfBlock) put(number int, at uint64) {
	b.at[number%len(b.at)] = at
	b.used++
}

// take returns what stands under a number, once.
func (s *shelf) take(number int) (incoming, bool) {
	if len(s.rest) > 0 {
		if a, ok := s.rest[number]; ok {
			delete(s.rest, number)
			return a, true
		}
	}
	k := number / len(shelfBlock{}.at)
	b := s.index[k]
	if b == nil || b.at[number%len(b.at)] == 0 {
		return incoming{}, false
	}
	at := b.at[number%len(b.at)] - 1
	b.at[number%len(b.at)] = 0
	if b.used--; b.used == 0 {
		delete(s.index, k)
	}
	i := int(at>>pageBits) - s.base
	p := s.pages[i]
	data := p.b[at&(pageSize-1):]
	n, w := binary.Uvarint(data)
	data = data[w:]
	first := uint64(number)
	if s.unordered {
		first, w = binary.Uvarint(data)
		data = data[w:]
	}
	size, w := binary.Uvarint(data)
	if data = data[w:]; int(size) <= len(data) {
		data = data[:size:size]
	} else {
		data = append(make([]byte, 0, size), data...)
		for ; len(data) < int(size); i++ {
			s.read(i)
			next := s.pages[i+1].b
			data = append(data, next[:min(int(size)-len(data), len(next))]...)
		}
	}
	s.read(i)
	s.forget()
	a := incoming{first: int(first), base: int(first), n: int(n >> 1), data: data, local: n&1 != 0}
	a.units = (a.n + s.chunk - 1) / s.chunk
	return a, true
}

// read counts what was read of a page, which goes when that is all there is.
func (s *shelf) read(i int) {
	p := s.pages[i]
	if p.unread--; p.unread == 0 && i < len(s.pages)-1 {
		s.pages[i] = nil
	}
}

// forget drops the pages at the front that were read.
func (s *shelf) forget() {
	for len(s.pages) > 0 && s.pages[0] == nil {
		s.pages = s.pages[1:]
		s.base++
	}
}
