// Command greet says what a program sees of how it was started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })

var outside = futures.Register("outside", func(x int) (int, error) {
	go panic("outside of a task")
	time.Sleep(time.Minute)
	return x, nil
})

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		return err
	}
	defer ex.Close()
	sum := 0
	for y, err := range futures.Map(ctx, ex, square, []int{1, 2, 3, 4}) {
		if err != nil {
			return err
		}
		sum += y
	}
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("sum %d by %d %s; %s %q; worker %v\n", sum, n, ex.Backend(), filepath.Base(os.Args[0]), os.Args[1:], futures.InWorker())
	if len(os.Args) < 2 {
		return nil
	}
	switch os.Args[1] {
	case "fail":
		return errors.New("told to fail")
	case "panic":
		panic("told to panic")
	case "wait":
		fmt.Println("waiting")
		<-ctx.Done()
		return ctx.Err()
	case "outside":
		f, err := futures.Submit(ex, outside, 1)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	}
	return nil
}
