// Package find says where to look for the MPI library that a program loads when it starts, and in which order:
//
//  1. what RANKPOOL_MPI names: a path, a file's name, or a family (openmpi, mpich, abi); nothing else then;
//  2. what is in the process already: the program is linked with it, or LD_PRELOAD names it;
//  3. the folders that the launcher's variables name;
//  4. the folders beside the launcher: of the mpiexec that started this process, or else of the one on the path;
//  5. the system's search path, with LD_LIBRARY_PATH, by the library's name;
//  6. the folders that the variables of modules name, and where distributions and vendors put MPI.
//
// Under a launcher that is not known only the first two steps count: with a library that is not the launcher's each process would be alone.
// Under a launcher of a known family only libraries of that family fit, and those of MPI 5's standard interface after them. Slurm's srun
// starts both families: that which understands what it offers (PMIx: Open MPI's, PMI: MPICH's) is looked for in all places before the other. The
// package looks at names and files; whether a library can be loaded, and is what its name says, is for its caller to try.
package find
