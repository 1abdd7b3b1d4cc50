package loopback

import "github.com/rankpool/rankpool/internal/link"

// largestIdle is the most frames an empty queue keeps room for.
const largestIdle = 1024

// queue is first in, first out, and allocates only while it grows.
type queue struct {
	frames []link.Frame
	head   int
}

func (q *queue) push(f link.Frame) {
	if q.head > 0 && len(q.frames) == cap(q.frames) && q.head >= len(q.frames)/2 {
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	q.frames = append(q.frames, f)
}

func (q *queue) pop() (link.Frame, bool) {
	if q.head == len(q.frames) {
		return link.Frame{}, false
	}
	f := q.frames[q.head]
	q.frames[q.head] = link.Frame{} // the frame belongs to the receiver now
	q.head++
	if q.head == len(q.frames) {
		q.frames, q.head = q.frames[:0], 0
		if cap(q.frames) > largestIdle {
			q.frames = nil
		}
	}
	return f, true
}
