// Package pkl5 turns Go values into bytes and back, with large memory left where it is.
//
// A value becomes a stream, small and in band, and segments: the memory of its large slices, strings and arrays,
// which travel untouched beside the stream and become the memory of the decoded value. Each type is compiled once
// into a plan; what a value consists of is never written, only what it holds. So both ends must agree on the types:
// the same build on the same architecture. Checking that is the business of whoever connects them.
//
// # What arrives
//
// Everything that Compile accepts, in the shape in which it was sent: nil and empty slices and maps stay different,
// NaN keeps its payload, zero its sign, unexported fields are carried. Pointers and maps that were shared, or
// formed a cycle, within one value do so again, which includes pointers to the value itself. A pointer into the middle
// of something else (a field, an element) arrives as a pointer to a copy. So do slices that overlap. Capacity beyond
// the length is not sent.
//
//   - A type with methods of its own to carry it is carried by them: AppendBinary or MarshalBinary with UnmarshalBinary,
//     then GobEncode with GobDecode, on the type or its pointer, always both directions. A text is made for people and may be less
//     than the value, so MarshalText is used only if the fields cannot travel and RegisterType was told of the type. Methods that an embedded field lends do not count: they would lose the other fields.
//   - Fields called _ are not sent. A sync.Mutex or RWMutex arrives unlocked; numbers of sync/atomic are loaded.
//   - Interfaces carry basic types and slices and maps of those, and what RegisterType was told, and errors: see
//     CarryErrors.
//   - Refused by Compile: chan, func, unsafe.Pointer, and types whose content is bound to the process (sync.Once,
//     sync.WaitGroup, sync.Map, unique.Handle, container/list, …). An array of length zero may be of anything.
//   - Slices, maps and interfaces may nest 10,000 deep. Chains of pointers have no limit and need no stack.
//
// # Stream
//
// A number is one byte if it is below 0xF8. Otherwise the byte 0xF7+n comes first and then the n low bytes of the number,
// lowest first. Signed numbers are folded first: 0, -1, 1, -2 become 0, 1, 2, 3.
//
//	bool, int8, uint8      one byte
//	other integers         a number
//	float, complex         their bits, lowest byte first
//	string                 length·2, the bytes; or length·2+1 and a segment
//	slice                  0 for nil, otherwise 1 + what follows:
//	  of flat elements     length·2, the memory; or length·2+1 and a segment
//	  of others            length, the elements
//	array of flat elements the memory; from 64 bytes on a byte before it: 0, or 1 and a segment
//	array of others        the elements
//	struct                 the fields in order
//	pointer                0 for nil; 1 for a pointee not met before; 2+n for the n-th pointee or map of the value
//	map                    as a pointer; a new one is followed by the number of entries and the entries
//	interface              0 for nil; 1, length and name of the type, or 2+n for one known; the value
//	error, of no such type 1, 0, length, the bytes of package remote
//	with own methods       length·2, the bytes; or length·2+1 and a segment
//
// The value itself is pointee 0 if it leads to any pointer, map or interface. A new pointee that leads to none follows
// its pointer at once; the others follow after the value, in the order in which they were met.
//
// Flat is what holds no pointers and no type with methods or mutexes: numbers, bools, arrays and structs of those. Flat
// memory travels with its padding. Types that have a size but nothing to send take one zero byte.
//
// Segments go out from the Encoder's threshold on, that size included, in the order in which the stream mentions them.
// A decoded slice is its segment, with no spare capacity, if the segment is aligned for the elements, which memory
// allocated as []byte of that size is.
//
// # Hostile input
//
// Decode survives any input with an error about ErrCorrupt. Every value that takes memory takes input too, so before
// anything is allocated its least input is checked against what is left, minus what is promised to others.
package pkl5
