// Package peers has the source of the programs that rankpool bench compares rankpool with: in C, to be compiled where the
// comparison runs, and in Python. What needs the modules of others is in bench/extra, a module of its own.
package peers

import _ "embed"

// The sources. Each explains itself at its top; all print their figures as package ours does.
var (
	//go:embed c/raw_mpi.c
	RawMPI []byte // a master and workers in C and plain MPI
	//go:embed c/ping.c
	Ping []byte // two processes and a socket pair
	//go:embed python/mpi4py_futures.py
	MPI4Py []byte
	//go:embed python/multiprocessing_pool.py
	Multiprocessing []byte
	//go:embed python/grain.py
	Grain []byte // the pools of both
)
