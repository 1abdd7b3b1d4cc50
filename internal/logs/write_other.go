//go:build !unix

package logs

import (
	"io"
	"os"
)

// survivor is the file itself: no signal comes of a write here.
func survivor(f *os.File) io.Writer { return f }
