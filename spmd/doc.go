// Package spmd is for programs that run on every rank of an MPI job (single program, multiple data), like most MPI programs. [Main] takes
// the place of [futures.Main], and [futures.MPICommExecutor] makes ranks serve one of them for a while:
//
//	func main() {
//		spmd.Main(func(ctx context.Context) error {
//			// on all ranks
//			return futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
//				// on rank 0, with the others as workers
//				return nil
//			})
//		})
//	}
//
// The import alone marks such a program before it begins: [futures.InWorker] is false on all ranks then. So import it only in package main,
// not in a library: a program that imports it and calls [futures.Main] is refused, with and without a launcher. Tests of such a program
// that run without a launcher may call [futures.TestMain].
package spmd
