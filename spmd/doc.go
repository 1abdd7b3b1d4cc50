// Package spmd is for programs that run on every rank of an MPI job (single program, multiple data), as most programs of MPI do. [Main]
// takes the place of [futures.Main], and [futures.MPICommExecutor] has ranks serve one of them for a while:
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
// The import alone tells such a program from others before it begins: [futures.InWorker] is false on all ranks then. So it belongs
// in package main, not in a library: a program that imports it and calls [futures.Main] is refused, with and without a launcher.
// Tests of such a program may call [futures.TestMain] where they are run without a launcher.
package spmd
