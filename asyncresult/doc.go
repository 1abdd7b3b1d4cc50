// Package asyncresult has the type [AsyncResult], which the asynchronous verbs of package pool return, under the names [ApplyResult] for
// one call and [MapResult] for the slice of a whole map.
//
// Programs get results from pool.ApplyAsync, pool.MapAsync and pool.StarmapAsync. They seldom need to import this package, because package
// pool has the types too:
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
//			r, err := pool.MapAsync(ctx, p, square, []int{1, 2, 3})
//			if err != nil {
//				return err
//			}
//			r.Callback(func(ys []int) { fmt.Println("squares:", ys) })
//			r.ErrorCallback(func(err error) { fmt.Println("failed:", err) })
//			return nil // With waits for the squares and for the callback
//		}, pool.WithProcesses(2))
//	}
//
// # From Python
//
// get(timeout) is [AsyncResult.Get] with a context that has a deadline, or [AsyncResult.GetWithin]; wait, ready and successful are
// [AsyncResult.Wait], [AsyncResult.Ready] and [AsyncResult.Successful]. Callbacks are methods here, and may be added at any time, even when
// the result is ready. They run after waiting calls of [AsyncResult.Get] are released, not before; Join waits for them.
package asyncresult
