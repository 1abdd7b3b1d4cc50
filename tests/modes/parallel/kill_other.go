//go:build !unix && (!mpi || cgo)

package main

import "os"

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
