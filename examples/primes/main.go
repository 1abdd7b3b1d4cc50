// Command primes tells for each number whether it is prime, and its smallest factor if it is not: Map calls one
// function on many arguments and yields the results in their order. An error in a task ends the loop here.
package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"

	"github.com/rankpool/rankpool/futures"
)

// candidates are large primes, products of two large primes, and some where a small factor cuts the search short.
var candidates = []uint64{
	10000000000000061, 10000000000000001, 20000000000000003, 20000004700000231, 10000001400000049, 12345678901234619,
	18014398509481983, 27182818284590483, 31415926535897999, 2305843009213693952,
}

// smallestFactor tries every divisor up to the square root, on purpose: it stands for work worth a process.
var smallestFactor = futures.Register("smallestFactor", func(n uint64) (uint64, error) {
	if n < 2 {
		return 0, fmt.Errorf("%d has no prime factor: give numbers from 2 on", n)
	}
	if n%2 == 0 {
		return 2, nil
	}
	for d := uint64(3); d <= n/d; d += 2 {
		if n%d == 0 {
			return d, nil
		}
	}
	return n, nil
})

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: primes [number ...]

Tells for each number, from 2 to 18446744073709551615, whether it is prime. Without numbers it tests ten large ones.
RANKPOOL_BACKEND (auto, mpi, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.
`)
	}
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	numbers := candidates
	if flag.NArg() > 0 {
		numbers = nil
	}
	for _, arg := range flag.Args() {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return fmt.Errorf("primes: %q is not a number from 2 to 18446744073709551615; see primes -help", arg)
		}
		numbers = append(numbers, n)
	}

	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		i := 0
		for factor, err := range futures.Map(ctx, ex, smallestFactor, numbers) {
			if err != nil {
				return err
			}
			if n := numbers[i]; factor == n {
				fmt.Println(n, "is prime")
			} else {
				fmt.Println(n, "=", factor, "×", n/factor)
			}
			i++
		}
		return nil
	})
}
