// Command spmdmain imports package spmd and calls futures.Main.
package main

import (
	"context"
	"fmt"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/spmd"
)

var everywhere bool

func run(context.Context) error {
	fmt.Println("it runs")
	return nil
}

func main() {
	if everywhere {
		spmd.Main(run)
	}
	futures.Main(run)
}
