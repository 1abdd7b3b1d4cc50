// Command forgotten uses workers and never calls futures.Main.
package main

import (
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

func main() {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err == nil {
		_, err = futures.Submit(ex, inc, 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
