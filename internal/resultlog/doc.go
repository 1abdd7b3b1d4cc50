// Package resultlog keeps results of calls in a file, so that a job that was killed goes on where it was.
//
// # The file
//
// It is a log: records are appended and never changed, but for a compaction, which writes another file and renames it. Nothing is mapped
// into memory and nothing is locked, because parallel file systems lack both, or have them at a price. A claim beside the file says who
// writes it: see Lease.
//
// All numbers are little-endian. The file begins with a head of 64 bytes, twice:
//
//	 0  "rankpool results 1\n", zeros
//	32  the seed of all its checksums, 8 bytes
//	40  the checksum of the 40 bytes before, 8 bytes
//	48  zeros
//
// Then come records:
//
//	 0  checksum of the head from byte 4 on, 4 bytes
//	 4  kind: 1 result, 2 failure, 3 function, 4 forget, 5 time; and 128 if the body is large
//	 5  number of the function, 3 bytes
//	 8  length of the body, 4 bytes; 0 if it is large
//	12  checksum of the body, 4 bytes; 0 if it is large
//	16  key, 16 bytes; of a time the nanoseconds since 1970, 8 bytes
//	32  only if it is large: length of the body, 8 bytes, and its checksum, 8 bytes
//	    the body
//
// A body is large from 64 KiB on: when the file is opened it is passed over and not read. Checksums are XXH3 with the file's seed, or the low half of that.
// That the seed is the file's own keeps a record that stands inside a value from being taken for one.
//
// The body of a result is the number of its segments, the length of each (uvarints), the stream and the segments. That of a failure is its
// text. That of a function is its name, its version (each behind a uvarint with its length), 8 bytes of its types and 8 of what else it depends on, and how often
// it was forgotten before (uvarint). That of a forget is the name of a function: what was recorded of it before is no longer found.
//
// # Damage
//
// A record whose body is not what its checksum says is passed over. Where a head is damaged nobody knows where the next record begins: it is
// looked for byte by byte. What stands behind the last whole record was cut off when the program or the machine ended, and goes when the file is opened for writing.
package resultlog
