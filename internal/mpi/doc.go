// Package mpi is the floor every MPI backend stands on: the only package that calls an MPI library.
//
// With the tag mpi, on Linux with amd64 or arm64, with cgo or without it, Init loads the library that belongs to the launcher. Package find
// says where it is looked for, and package abi has what differs between the libraries. A program that is linked with one, as those that
// import empi are, has it in the process already, and that very one is called. Without the tag and on other systems everything
// here compiles to the same interface, and every call that would need MPI returns an error that matches ErrNotBuilt.
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
