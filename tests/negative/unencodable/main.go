// Command unencodable registers a function whose argument holds a channel.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
)

type job struct {
	Name  string
	Parts []part
}

type part struct{ Done chan bool }

var _ = futures.Register("do", func(job) (int, error) { return 0, nil })

func main() { futures.Main(func(context.Context) error { return nil }) }
