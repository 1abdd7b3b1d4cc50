// Package mpitest runs tests under mpiexec.
//
// A test binary that was built with -tags mpi starts itself again, once per test, under the launcher that MPITEST_LAUNCHER
// names, or that of the library that it is linked with: the test's body then runs on every rank. Each launch has a hard limit, after which
// every process that descends from it, the reparented ones included, is killed, and what all ranks printed is shown.
package mpitest
