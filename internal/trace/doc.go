// Package trace writes and reads recordings of runs: what each worker did, and when.
//
// A recording is one file. The programs that a batch system starts one after another, and the executors of each of them, go into
// the same. It is a protobuf message, rankpool.recording.Recording of docs/recording.proto, of which more is appended as the run goes on: a
// file that ends anywhere, because the program or the machine was killed, is read up to its last whole record.
//
// Who has something to tell holds locks that others wait for. So Pool.Add only copies an Event into memory, whose size is
// bounded, and a goroutine of the pool's own encodes and writes. A disk that hangs, or is full, holds up nobody: what does not fit into
// the memory is put together, worker by worker, and so is what would make the file larger than its limit.
package trace
