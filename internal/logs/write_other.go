//go:build !unix

package logs

import (
	"io"
	"os"
)

// Survivor is the file itself: no signal comes of a write here.
func Survivor(f *os.File) io.Writer { return f }
