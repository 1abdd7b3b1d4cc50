//go:build unix

package faults_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestNothingRemainsOf200Executors(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	onEveryBackend(t, func(t *testing.T, b backend) {
		files := func() int {
			d, err := os.ReadDir("/dev/fd")
			if err != nil {
				t.Fatal(err)
			}
			return len(d)
		}
		var goroutines, descriptors int
		for i := range n {
			ex, err := b.make(t, futures.WithMaxWorkers(2))
			if err != nil {
				t.Fatal(err)
			}
			if y, err := submit(t, ex, inc, i).Result(t.Context()); err != nil || y != i+1 {
				t.Fatal(y, err)
			}
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
			if i == 4 { // with what the runtime keeps from now on
				until(t, "the goroutines of the first few", func() bool {
					before := goroutines
					goroutines = runtime.NumGoroutine()
					return goroutines == before
				})
				descriptors = files()
			}
		}
		noProcess(t, markVariable+"="+os.Getenv(markVariable))
		until(t, "as few goroutines as after the first", func() bool { return runtime.NumGoroutine() <= goroutines })
		until(t, "as few open descriptors as after the first few", func() bool { return files() <= descriptors })
	})
}
