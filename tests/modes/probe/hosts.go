//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// cutOff has tasks at work while something happens to a host. A file tells when they are, another one that one is lost;
// they end when a third one comes, or at the loss.
func cutOff(ctx context.Context) error {
	ex := executor(futures.WithLiveness(*liveness))
	defer ex.Close()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	var held, queued []*futures.Future[int]
	for range n {
		held = append(held, submit(ex, hold, *dir))
	}
	for i := range 200 {
		queued = append(queued, submit(ex, add, i))
	}
	if _, err := atWork(ctx, *dir, n); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*dir, "ready"), nil, 0o600); err != nil {
		return err
	}
	begin := time.Now()
	if _, _, err := futures.Wait(ctx, held, futures.FirstCompleted); err != nil {
		return err
	}
	fmt.Println("first of the long tasks after", time.Since(begin).Round(100*time.Millisecond))
	if err := seeOut(ctx, held, queued); err != nil {
		return err
	}
	n, err = ex.NumWorkers(ctx)
	fmt.Println("queued: done, workers:", n, err)
	if err := os.WriteFile(filepath.Join(*dir, "done"), nil, 0o600); err != nil {
		return err
	}
	for *patient { // until it is told
		if _, err := os.Stat(filepath.Join(*dir, "end")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
