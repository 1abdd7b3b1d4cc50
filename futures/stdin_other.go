//go:build mpi && cgo && !unix

package futures

import "os"

func emptyStdin() {
	if null, err := os.Open(os.DevNull); err == nil {
		os.Stdin = null
	}
}

func borrowStdin() (restore func()) {
	before := os.Stdin
	emptyStdin()
	return func() { os.Stdin = before }
}
