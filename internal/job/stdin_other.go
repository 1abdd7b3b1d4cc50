//go:build mpi && !unix

package job

import "os"

// EmptyStdin has this process find the end of its standard input.
func EmptyStdin() {
	if null, err := os.Open(os.DevNull); err == nil {
		os.Stdin = null
	}
}

// BorrowStdin is EmptyStdin until restore is called.
func BorrowStdin() (restore func()) {
	before := os.Stdin
	EmptyStdin()
	return func() { os.Stdin = before }
}
