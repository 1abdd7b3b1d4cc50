// Package pool runs functions on a pool of workers with the verbs of Python's multiprocessing.Pool: [Apply], [Map], [Imap],
// [Starmap] and their relatives. Workers are processes of this machine, the ranks of an MPI job, or, by package
// threadpool, goroutines.
//
// A complete program:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/rankpool/rankpool/futures"
//		"github.com/rankpool/rankpool/pool"
//	)
//
//	var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
//
//	func main() { futures.Main(run) }
//
//	func run(ctx context.Context) error {
//		return pool.With(ctx, func(p *pool.Pool) error {
//			ys, err := pool.Map(ctx, p, square, []int{1, 2, 3})
//			if err != nil {
//				return err
//			}
//			fmt.Println(ys)
//			return nil
//		}, pool.WithProcesses(4))
//	}
//
// # Verbs
//
// Verbs are functions, because a method cannot have type parameters of its own. A context comes first where a call can
// block.
//
//	one call             Apply         ApplyAsync
//	all results          Map           MapAsync            Starmap  StarmapAsync
//	one by one           Imap          ImapUnordered       Istarmap IstarmapUnordered
//
// The asynchronous verbs return an [AsyncResult]: see package asyncresult. Star verbs are for functions of several
// arguments, which come grouped in a [futures.Pair] or in a struct; what Python passes as keyword arguments is a struct
// too.
//
// # Input
//
// Every verb but [Apply] takes a slice or an [iter.Seq]. The verbs that return all results read a sequence to its end before
// they begin; the others draw it as results are read, a few tasks per worker ahead, so that it may be endless. Nothing
// but an end of the context bounds an endless one given to the former. A panic in a sequence reaches the caller, and
// what was submitted is cancelled.
//
// # Chunks
//
// The verbs that return all results have their elements travel and run in chunks, four per worker, as the original does; to know the
// number of workers they start them and wait for it. The others, and [WithChunkSize], do not. Within a chunk each element fails by
// itself.
//
// # Failures
//
// The failure of an element is a [*futures.ElementError] with its index. The verbs that yield give it in the element's place, and go
// on; with [futures.FailFast] it is the last that they yield. [Map], [Starmap] and their asynchronous forms end with the first failure
// in time, which is their error; with [KeepGoing] they return every result and every failure.
//
// What the task returned is in it as a [*futures.RemoteError], through which [errors.Is] and [errors.As] see the errors that
// were registered, and those of the standard library.
//
// # The end
//
// With joins the pool when its function returns nil, and cancels what has not begun after an error or a panic: a program that
// has failed does not compute on. For a pool that [New] makes, [Pool.Close] forbids further calls, [Pool.Terminate] cancels
// what has not begun as well, and neither waits; [Pool.Join] waits. All may be called in any order and again. A pool that is
// never joined is when the function given to [futures.Main] returns.
//
// # From Python
//
// docs/porting.md in the repository has a script that uses multiprocessing.Pool and the program that it becomes, side by
// side, a table of every name and parameter, and what behaves differently. For tasks that wait more than they compute
// there is package threadpool.
package pool
