package examples_test

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// describe says what primes is to print about n, found by other means than trial division wherever those are exact:
// below 2^64 ProbablyPrime is.
func describe(n uint64) string {
	isPrime := func(n uint64) bool { return new(big.Int).SetUint64(n).ProbablyPrime(0) }
	if isPrime(n) {
		return fmt.Sprintln(n, "is prime")
	}
	d := uint64(2)
	for n%d != 0 || !isPrime(d) {
		d++
	}
	return fmt.Sprintln(n, "=", d, "×", n/d)
}

func TestPrimesNamesTheSmallestFactorOrNone(t *testing.T) {
	args := []string{"1000003", "2", "3", "4", "9", "25", "49", "1000001", "1018081", "6700417", "4294967297",
		"9223372036854775808", strconv.FormatUint(math.MaxUint64, 10), "2", "999999999989", "99999800000101"}
	var want strings.Builder
	for _, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		want.WriteString(describe(n))
	}
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := succeed(t, b, start{example: "primes", args: args})
		if diff := cmp.Diff(want.String(), o.stdout); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestPrimesWithoutArgumentsSaysTheTruthAboutItsOwnNumbers(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := succeed(t, b, start{example: "primes"})
		lines := 0
		for line := range strings.Lines(o.stdout) {
			lines++
			var n, d, q uint64
			if _, err := fmt.Sscanf(line, "%d = %d × %d\n", &n, &d, &q); err == nil {
				if d < 2 || d > q || d*q != n || !new(big.Int).SetUint64(d).ProbablyPrime(0) {
					t.Errorf("wrong: %s", line)
				}
			} else if _, err := fmt.Sscanf(line, "%d is prime\n", &n); err != nil {
				t.Errorf("neither prime nor product: %q", line)
			} else if !new(big.Int).SetUint64(n).ProbablyPrime(0) {
				t.Errorf("wrong: %s", line)
			}
		}
		if lines != 10 {
			t.Errorf("%d lines, want 10", lines)
		}
	})
}

// The results before the failing element arrive, the error says what the task said, and nothing follows.
func TestPrimesStopsAtANumberWithoutFactors(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := run(t, b, start{example: "primes", args: []string{"7", "9", "1", "11"}})
		if want := describe(7) + describe(9); o.stdout != want {
			t.Errorf("stdout %q, want %q", o.stdout, want)
		}
		if o.code != 1 || !strings.Contains(o.stderr, "1 has no prime factor") {
			t.Errorf("exit status %d, stderr %q, want 1 and the task's own words", o.code, o.stderr)
		}
	})
}
