//go:build unix && (!mpi || cgo)

package main

import "syscall"

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
