// Package mpi is the floor every MPI backend stands on: the only package with C in it, and the only one that imports
// empi.
//
// It is built with the tag mpi, in one of two ways. With cgo it links exactly one library: the one that `pkg-config ompi`
// names; the folder build/ has what it takes to make that MPICH or a vendor's MPI. Without cgo (CGO_ENABLED=0, on Linux with amd64 or
// arm64; with cgo too under the tag mpiload) Init loads the library that belongs to the launcher: package find says where it is
// looked for, package abi has what differs between the libraries, and the files whose names begin with loaded are the shim. Without the
// tag everything here compiles to the same interface, and every call that would need MPI returns an error that matches ErrNotBuilt.
//
// # Life
//
// MPI is one per process, so Init, Finalize and the communicators World, Self and Parent are package functions. Init
// and MPI_Finalize run on one goroutine of their own that stays on its thread; every other call may come from any
// goroutine, together with any other, unless its comment says otherwise. Where the library gives less than
// MPI_THREAD_MULTIPLE, the calls are serialised here and those that block are turned into tests in a loop.
//
// # Errors
//
// Every communicator returns its errors. They are *Error values that say which call failed and what to do, and match
// their Class with errors.Is.
//
// # Memory
//
// An operation that outlives its call owns its buffer: the memory is pinned until the operation is over. A Request that
// is dropped stays in a table, pinned, and harms nobody. Operations whose peer is lost go to the same table, because
// MPI gives no way to end them.
//
// # Two ways to send
//
// Request is one operation, to be waited for or tested. Port is for whoever moves many messages: one crossing into C
// starts what is queued, tests what is on its way and receives what has come.
package mpi
