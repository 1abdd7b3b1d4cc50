package mpilink

import (
	"encoding/binary"
	"slices"
)

// head is one of those that a message with headTag consists of, without its tail.
type head struct {
	data   []byte
	id     uint64 // of the worker
	number uint32
	kind   byte
}

// tail is how long the end of a head is: whose it is, its number, its kind, and the length of what is before that.
const tail = 8 + 4 + 1 + 2

// trail appends the tail of a head, of which there may be longest-tail bytes. Its number is filled in when it is queued.
func trail(b []byte, id uint64, kind byte) []byte {
	n := len(b)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = append(binary.LittleEndian.AppendUint32(b, 0), kind)
	return binary.LittleEndian.AppendUint16(b, uint16(n))
}

// setNumber fills in the number of a head.
func setNumber(b []byte, number uint32) { binary.LittleEndian.PutUint32(b[len(b)-tail+8:], number) }

// lastHead takes the last head off a message.
func lastHead(message []byte) (h head, before []byte, ok bool) {
	n := len(message) - tail
	if n < 0 {
		return h, nil, false
	}
	t := message[n:]
	begin := n - int(binary.LittleEndian.Uint16(t[13:]))
	if begin < 0 {
		return h, nil, false
	}
	h = head{message[begin:n], binary.LittleEndian.Uint64(t), binary.LittleEndian.Uint32(t[8:]), t[12]}
	return h, message[:begin], true
}

// eachHead calls take with the heads of a message, in their order. It calls nothing and returns false unless the message is that.
// Most messages have one.
func (w *wire) eachHead(message []byte, take func(head)) bool {
	w.later = w.later[:0]
	first, before, ok := lastHead(message)
	for ok && len(before) > 0 {
		w.later = append(w.later, first)
		first, before, ok = lastHead(before)
	}
	if !ok {
		return false
	}
	take(first)
	for _, h := range slices.Backward(w.later) {
		take(h)
	}
	return true
}
