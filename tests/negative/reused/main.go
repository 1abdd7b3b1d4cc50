// Command reused fills a buffer again that a task was given, before it has left.
package main

import (
	"context"
	"os"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	first = futures.Register("first", func(b []byte) (byte, error) { return b[0], nil })

	// hold keeps the one worker until the file is gone.
	hold = futures.RegisterContext("hold", func(ctx context.Context, name string) (bool, error) {
		for ctx.Err() == nil {
			if _, err := os.Stat(name); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return true, ctx.Err()
	})
)

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		return err
	}
	defer ex.Close()
	file, err := os.CreateTemp("", "reused-")
	if err != nil {
		return err
	}
	file.Close()
	defer os.Remove(file.Name())
	if _, err := futures.Submit(ex, hold, file.Name()); err != nil {
		return err
	}
	buffer := make([]byte, 1<<20)
	f, err := futures.Submit(ex, first, buffer)
	if err != nil {
		return err
	}
	for i := range buffer {
		buffer[i] = 1
	}
	os.Remove(file.Name())
	_, err = f.Result(ctx)
	return err
}
