package link

import "sync"

// largestPooled bounds what the pool keeps, so that one large message does not stay in memory.
const largestPooled = 1 << 20

var buffers sync.Pool

// GetBuffer returns an empty buffer for a frame's Stream, with some capacity.
func GetBuffer() []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 4096)
}

// PutBuffer gives back a Stream that nobody reads any more. It is optional: the garbage collector takes the others.
func PutBuffer(b []byte) {
	if c := cap(b); c >= 512 && c <= largestPooled {
		b = b[:0]
		buffers.Put(&b)
	}
}
