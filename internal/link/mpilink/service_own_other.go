//go:build !unix

package mpilink

import "os"

func openOwn(path string) (*os.File, error) { return os.Open(path) }
