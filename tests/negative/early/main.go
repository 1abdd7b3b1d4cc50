// Command early uses its executor in a package variable, before main.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

var two = func() int {
	ex, err := futures.NewMPIPoolExecutor()
	if err == nil {
		err = ex.Bootup(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f, _ := futures.Submit(ex, inc, 1)
	y, _ := f.Result(context.Background())
	return y
}()

func main() { futures.Main(func(context.Context) error { fmt.Println(two); return nil }) }
