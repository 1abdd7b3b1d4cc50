// Package pool runs functions on a pool of workers with the verbs of Python's multiprocessing.Pool: [Apply], [Map], [Imap], [Starmap] and
// their variants. Workers are processes of this machine or the ranks of an MPI job. Package threadpool makes pools of goroutines.
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
// The asynchronous verbs return an [AsyncResult]: see package asyncresult. Star verbs are for functions of several arguments, which are
// grouped in a [futures.Pair] or in a struct. A struct also replaces Python's keyword arguments.
//
// # Input
//
// Every verb but [Apply] takes a slice or an [iter.Seq]. The verbs that return all results read a sequence to its end before they begin, so
// on an endless sequence they only return when the context ends. The others draw it while results are read, a few tasks per worker ahead,
// so it may be endless. A panic in a sequence reaches the caller, and the submitted tasks are cancelled.
//
// # Chunks
//
// The verbs that return all results send and run their elements in chunks, four per worker, as Python does. To know the number of workers
// they start them and wait for it. They do neither with [WithChunkSize], and the other verbs never do. Within a chunk each element fails by
// itself.
//
// # Failures
//
// The failure of an element is a [*futures.ElementError] with its index. The verbs that yield results yield it in the element's place, and
// go on; with [futures.FailFast] it is the last that they yield. [Map], [Starmap] and their asynchronous forms end with the first failure
// in time, which is their error. With [KeepGoing] they return every result and every failure.
//
// The failure contains the task's error as a [*futures.RemoteError]. Through it [errors.Is] and [errors.As] find the errors that were
// registered, and those of the standard library.
//
// # The end
//
// [With] joins the pool when its function returns nil. After an error or a panic it cancels the tasks that have not begun, so a program
// that has failed stops. For a pool that [New] makes, [Pool.Close] forbids further calls, and [Pool.Terminate] also cancels the tasks that
// have not begun. Neither waits; [Pool.Join] waits. All may be called in any order and again. If you never call [Pool.Join], the pool is
// joined when the function passed to [futures.Main] returns.
//
// # From Python
//
// docs/porting.md in the repository shows a script that uses multiprocessing.Pool and the same program in Go, side by side, a table of
// every name and parameter, and the differences in behavior. For tasks that wait more than they compute use package threadpool.
package pool
