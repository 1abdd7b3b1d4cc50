// Package clib loads C libraries while a program runs, and calls their functions by address: without cgo, headers or a C compiler.
//
// It exists for package mpi. A program that imports it is dynamic and needs glibc, whatever CGO_ENABLED says, so package mpi
// imports it only where MPI is asked for. Loading is purego's work. The calls are made here, because a message of MPI is a few
// calls of 50 ns: a [Call] is a record that can be kept and made again, and [Run] makes several in one crossing into C, again and
// again if need be, until one of them has something to say.
package clib
