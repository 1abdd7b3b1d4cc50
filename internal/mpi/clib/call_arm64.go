//go:build linux

package clib

func run(calls []Call, rounds int, stop *int32) { runEach(calls, rounds, stop) }

func do(c *Call) {
	one := [1]Call{*c}
	runEach(one[:], 1, nil)
	c.Result = one[0].Result
}
