// Package threadpool makes a pool of goroutines with the verbs of package pool. To change a program from processes to goroutines, change
// only the constructor.
//
// Arguments and results are shared, not copied, so a task sees the caller's memory and must guard what it changes. Closures are allowed, by
// [futures.Local]. No processes are started, so [futures.Main] is not needed:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/rankpool/rankpool/futures"
//		"github.com/rankpool/rankpool/pool"
//		"github.com/rankpool/rankpool/threadpool"
//	)
//
//	func main() {
//		ctx := context.Background()
//		err := threadpool.With(ctx, func(p *pool.Pool) error {
//			size := futures.Local(func(_ context.Context, name string) (int64, error) {
//				info, err := os.Stat(name)
//				if err != nil {
//					return 0, err
//				}
//				return info.Size(), nil
//			})
//			for n, err := range pool.ImapUnordered(ctx, p, size, os.Args[1:]) {
//				if err != nil {
//					return err
//				}
//				fmt.Println(n)
//			}
//			return nil
//		}, pool.WithProcesses(8))
//		if err != nil {
//			log.Fatal(err)
//		}
//	}
//
// # Tasks that wait for tasks
//
// A task may give the pool further tasks and wait for them with its own context. Its slot is then lent to another task. See
// [futures.ThreadPoolExecutor] for which waits are noticed.
//
// # From Python
//
// Like multiprocessing.pool.ThreadPool, it has one worker per core when no number is given; mpi4py's has one thread in all. An initializer
// is called once for all workers.
package threadpool
